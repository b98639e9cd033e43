"""The totals of an order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from oms.core.money import ZERO, rounded


@dataclass(frozen=True, kw_only=True)
class PricedLine:
    unit_price: Decimal
    quantity: int

    @property
    def total(self) -> Decimal:
        return rounded(self.unit_price * self.quantity)


@dataclass(frozen=True, kw_only=True)
class OrderTotals:
    """The totals of each line and of the order."""

    lines: tuple[Decimal, ...]
    total: Decimal


def order_totals(lines: Iterable[PricedLine]) -> OrderTotals:
    """The totals of lines in one currency."""
    totals = tuple(line.total for line in lines)
    return OrderTotals(lines=totals, total=sum(totals, ZERO))
