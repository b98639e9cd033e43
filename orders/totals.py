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


@dataclass(frozen=True, kw_only=True)
class OrderTotals:
    """The totals of each line and of the order."""

    lines: tuple[Decimal, ...]
    total: Decimal


def order_totals(lines: Iterable[PricedLine], *, currency: str) -> OrderTotals:
    """The totals of lines in `currency`, with exactly its decimals."""
    totals = tuple(rounded(line.unit_price * line.quantity, currency) for line in lines)
    return OrderTotals(lines=totals, total=sum(totals, ZERO))
