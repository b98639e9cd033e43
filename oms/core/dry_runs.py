"""What an operation would do, while a dry run undoes it: see `oms.http.transactions.undone`.

Operations report what they are about to write: stock movements, the totals of orders, refunds.
Outside of a dry run that costs one look at a context variable.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from decimal import Decimal
from uuid import UUID


@dataclass(kw_only=True)
class DryRun:
    """Sums of what would happen: quantities by product and location, money by currency."""

    stock: dict[tuple[UUID, str], list[int]] = field(default_factory=lambda: defaultdict(_none))
    totals: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    refunds: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))

    def move_stock(self, product_id: UUID, location: str, *, on_hand: int, reserved: int) -> None:
        """Note a movement of stock at the location with that code."""
        sums = self.stock[product_id, location]
        sums[0] += on_hand
        sums[1] += reserved

    def change_total(self, delta: Decimal, currency: str) -> None:
        """Note by how much the total of an order changes."""
        self.totals[currency] += delta

    def refund(self, amount: Decimal, currency: str) -> None:
        """Note a refund."""
        self.refunds[currency] += amount


def _none() -> list[int]:
    return [0, 0]


_current: ContextVar[DryRun | None] = ContextVar("dry_run", default=None)


def current_dry_run() -> DryRun | None:
    """The dry run that is going on, to report to; nearly always None."""
    return _current.get()


@contextmanager
def dry_run() -> Iterator[DryRun]:
    """Collect what operations report within the block."""
    token = _current.set(run := DryRun())
    try:
        yield run
    finally:
        _current.reset(token)
