"""What an order costs, as a pure function."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from oms.core.money import ZERO, rounded


@dataclass(frozen=True, kw_only=True)
class PricedLine:
    """That many pieces at that price each."""

    unit_price: Decimal
    quantity: int

    @property
    def total(self) -> Decimal:
        return rounded(self.unit_price * self.quantity)


@dataclass(frozen=True, kw_only=True)
class OrderTotals:
    """The totals of the lines in their order, and of the whole."""

    lines: tuple[Decimal, ...]
    total: Decimal


def order_totals(lines: Iterable[PricedLine]) -> OrderTotals:
    """Add up the lines of one order, all in one currency."""
    totals = tuple(line.total for line in lines)
    return OrderTotals(lines=totals, total=sum(totals, ZERO))
