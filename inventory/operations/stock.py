"""Stock movements of many products for many orders with a constant number of statements.

A StockAllocator holds the locked stock levels of some products. Movements are decided in memory, in
the order of the calls. `save` first reallocates what is no longer on hand, and allocates to the
queue what became available (inventory/operations/reallocation.py). Then one statement writes the
levels, the ledger, the queue and the event log.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from datetime import datetime
from uuid import UUID

from inventory.holdings import Holdings, level_ids_of
from inventory.locks import (
    LockedLevel,
    lock_levels_of_orders,
    lock_stock_levels,
)
from inventory.models import MovementKind
from inventory.operations.locked_stock import Cause, LockedStock, Movement, Quantities
from inventory.operations.reallocation import Reallocation
from inventory.operations.waiting import WaitingRows
from oms.core.actor import Actor
from oms.core.dry_runs import current_dry_run
from oms.core.ids import new_id
from oms.db.pipeline import Pipeline
from oms.db.transactions import RetryTransaction, transaction_required
from oms.events.publishing import publish_all
from oms.events.types import DomainEvent

__all__ = ["Cause", "StockAllocator", "open_allocator_of_orders", "open_stock_allocator"]


@transaction_required
def open_stock_allocator(product_ids: Iterable[UUID]) -> StockAllocator:
    """Lock all stock levels of the products until the end of the transaction."""
    return StockAllocator(lock_stock_levels(product_ids).rows())


@transaction_required
def open_allocator_of_orders(order_ids: Iterable[UUID]) -> StockAllocator:
    """The same for all products that the locked orders hold or wait for."""
    return StockAllocator(lock_levels_of_orders(order_ids))


class StockAllocator:
    """Locked stock levels, and the changes of them that `save` has yet to write."""

    def __init__(self, levels: Iterable[LockedLevel]) -> None:
        self._stock = LockedStock(levels)
        self._waiting = WaitingRows()
        # The products of which something became available.
        self._freed: set[UUID] = set()
        self._decided: int | None = None

    def product(self, product_id: UUID) -> LockedLevel | None:
        """The first level of the product, which has its columns; None if it has no level."""
        levels = self._stock.levels_of(product_id)
        return levels[0] if levels else None

    def available(self, product_id: UUID) -> int:
        """The quantity of the product that can be reserved, at all locations together."""
        return self._stock.available(product_id)

    def can_reserve(self, product_id: UUID, quantity: int) -> bool:
        """Whether that quantity can be reserved, or wait because the product is backorderable."""
        product = self.product(product_id)
        if product is None:
            return False
        return product.backorderable or self.available(product_id) >= quantity

    def reserve(
        self, product_id: UUID, quantity: int, *, cause: Cause, place: UUID | None = None
    ) -> int:
        """Reserve that quantity for the order of `cause`, from the locations by priority.

        Returns what is not available, which joins the product's queue: at `place`, by default at
        the end. Raises ValueError unless `can_reserve`.
        """
        if not self.can_reserve(product_id, quantity):
            raise ValueError(f"{quantity} of {product_id} cannot be reserved.")
        for level in self._stock.levels_of(product_id):
            take = min(max(level.available, 0), quantity)
            self._stock.move(level, MovementKind.RESERVE, reserved=take, cause=cause)
            quantity -= take
            if not quantity:
                return 0
        if cause.order_id is None:
            raise ValueError("Only orders wait.")
        self._waiting.add(product_id, quantity, order_id=cause.order_id, place=place or new_id())
        return quantity

    def release(self, quantities: Quantities, *, cause: Cause) -> None:
        """Release reserved quantities."""
        for level, quantity in self._stock.levels_at(quantities):
            self._stock.move(level, MovementKind.RELEASE, reserved=-quantity, cause=cause)
            self._freed.add(level.product_id)

    def release_part(
        self, holdings: Holdings, *, product_id: UUID, quantity: int, cause: Cause
    ) -> None:
        """Take that quantity of a product off what an order holds, and off `holdings`.

        First what waits, from the end of the queue, then what is reserved, from the last location.
        Raises ValueError if it holds less.
        """
        rows = [row for row in holdings.waiting if row.product_id == product_id]
        for row in sorted(self._waiting.read(rows), key=lambda row: row.place, reverse=True):
            less = min(row.quantity, quantity)
            row.quantity -= less
            quantity -= less
        released = {}
        reserved = {place: n for place, n in holdings.reserved.items() if place[0] == product_id}
        for level, held in reversed(self._stock.levels_at(reserved)):
            place = (product_id, level.location_id)
            if less := min(held, quantity):
                holdings.reserved[place] -= less
                released[place] = less
                quantity -= less
        if quantity:
            raise ValueError(f"The order does not hold {quantity} of {product_id}.")
        self.release(released, cause=cause)

    def release_all(self, holdings: Holdings, *, cause: Cause) -> None:
        """Release everything that an order holds; it waits for nothing any more."""
        for row in self._waiting.read(holdings.waiting):
            row.quantity = 0
        self.release(holdings.reserved, cause=cause)

    def ship(self, quantities: Quantities, *, cause: Cause) -> None:
        """Ship reserved quantities."""
        for level, quantity in self._stock.levels_at(quantities):
            self._stock.move(
                level, MovementKind.SHIP, on_hand=-quantity, reserved=-quantity, cause=cause
            )

    def return_units(self, quantities: Quantities, *, cause: Cause) -> None:
        """Restock quantities that had been shipped."""
        for level, quantity in self._stock.levels_at(quantities):
            self.adjust(level, quantity, kind=MovementKind.RETURN, cause=cause)

    def adjust(self, level: LockedLevel, delta: int, *, kind: MovementKind, cause: Cause) -> None:
        """Correct what is on hand at one level, also to less than is reserved there."""
        self._stock.move(level, kind, on_hand=delta, cause=cause)
        if delta > 0:
            self._freed.add(level.product_id)

    def level_at(self, product_id: UUID, location_code: str) -> LockedLevel | None:
        """The product's level at that location; None if it has none there."""
        levels = self._stock.levels_of(product_id)
        return next((level for level in levels if level.location_code == location_code), None)

    def savepoint(self) -> tuple[int, int]:
        """The present state, for `rollback`; only while stock is reserved and nothing else."""
        return len(self._stock.movements), self._waiting.savepoint()

    def rollback(self, savepoint: tuple[int, int]) -> None:
        """Undo every reservation since the savepoint."""
        movements, waiting = savepoint
        self._stock.undo(movements)
        self._waiting.rollback(waiting)

    @property
    def movements(self) -> tuple[Movement, ...]:
        """The movements that were requested, without the reallocations of `save`."""
        return tuple(self._stock.movements[: self._decided])

    @transaction_required
    def save(self, *, at: datetime, pipeline: Pipeline | None = None) -> None:
        """Reallocate, and write everything in one statement, that of the pipeline if given.

        Publishes what orders lost and were allocated, and the products that ran low.
        """
        self._decided = len(self._stock.movements)
        short = {m.level.id: m.level for m in self._stock.movements if m.level.available < 0}
        events: list[tuple[DomainEvent, Actor]] = []
        if short or self._freed:
            reallocation = Reallocation(self._stock, self._waiting)
            allocated = reallocation.run(short=short.values(), freed=self._freed)
            events += [(event, reallocation.actor) for event in allocated]
        if joined := self._waiting.joined():
            self.require_complete(joined)
        self._report()
        with Pipeline() if pipeline is None else nullcontext(pipeline) as writes:
            self._stock.write(at=at, pipeline=writes)
            self._waiting.write(at=at, pipeline=writes)
            publish_all([*events, *self._stock.crossings()], at=at, pipeline=writes)

    def require_complete(self, product_ids: Iterable[UUID]) -> None:
        """Raise RetryTransaction if one of the products has a level that is not locked here.

        One that was made while this transaction waited for the others may have what would wait, or
        what the caller is about to refuse for.
        """
        product_ids = list(product_ids)
        known = {level.id for id in product_ids for level in self._stock.levels_of(id)}
        if not known.issuperset(level_ids_of(product_ids)):
            raise RetryTransaction

    def _report(self) -> None:
        run = current_dry_run()
        if run is not None:
            for movement in self._stock.movements:
                run.move_stock(
                    movement.level.product_id,
                    movement.level.location_code,
                    on_hand=movement.on_hand_delta,
                    reserved=movement.reserved_delta,
                )
