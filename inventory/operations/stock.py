"""Stock movements of many products for many orders with a constant number of statements.

A StockAllocator holds the locked stock levels of some products. Movements are decided in memory, in
the order of the calls; `save` writes all of them with one UPDATE, one INSERT into the ledger and
one into the event log.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from inventory.events import ProductBecameAvailable, StockRanLow
from inventory.locks import LockedLevel, lock_stock_levels
from inventory.models import MAX_QUANTITY, MovementKind, StockMovement
from oms.core.actor import Actor
from oms.core.dry_runs import current_dry_run
from oms.core.ids import new_id
from oms.db.bulk_writes import insert_rows, write
from oms.db.pipeline import Pipeline
from oms.db.transactions import transaction_required
from oms.events.publishing import publish_all

# Quantities by product and location.
Quantities = Mapping[tuple[UUID, UUID], int]

_MOVEMENT_COLUMNS = (
    "id",
    "product",
    "location",
    "kind",
    "on_hand_delta",
    "reserved_delta",
    "on_hand_after",
    "reserved_after",
    "reference",
    "reason",
    "note",
    "order_id",
    "actor_id",
    "actor_label",
    "created_at",
)

_UPDATE_LEVELS = """
    UPDATE inventory_stocklevel AS level
    SET on_hand = new.on_hand, reserved = new.reserved, updated_at = %s
    FROM unnest(%s::uuid[], %s::int[], %s::int[]) AS new (id, on_hand, reserved)
    WHERE level.id = new.id
"""


@dataclass(frozen=True, kw_only=True)
class Cause:
    """Why stock moves: the actor, a reference unique to this change, and the order if any."""

    actor: Actor
    reference: str
    order_id: UUID | None = None
    reason: str = ""
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Movement:
    """One movement of one level, with the balances after it."""

    id: UUID
    level: LockedLevel
    kind: MovementKind
    on_hand_delta: int
    reserved_delta: int
    on_hand_after: int
    reserved_after: int
    cause: Cause


@transaction_required
def open_stock_allocator(product_ids: Iterable[UUID]) -> StockAllocator:
    """Lock all stock levels of the products until the end of the transaction."""
    return StockAllocator(lock_stock_levels(product_ids).rows())


class StockAllocator:
    """Locked stock levels, and the movements of them that `save` has yet to write."""

    def __init__(self, levels: Iterable[LockedLevel]) -> None:
        self._levels: dict[UUID, list[LockedLevel]] = {}
        for level in sorted(levels, key=lambda level: (level.priority, level.location_code)):
            self._levels.setdefault(level.product_id, []).append(level)
        self._available_before = {id: self.available(id) for id in self._levels}
        self._movements: list[Movement] = []

    def product(self, product_id: UUID) -> LockedLevel | None:
        """The first level of the product, which has its columns; None if it has no level."""
        levels = self._levels.get(product_id)
        return levels[0] if levels else None

    def available(self, product_id: UUID) -> int:
        """The quantity of the product that can be reserved, at all locations together."""
        return sum(level.available for level in self._levels.get(product_id, ()))

    def can_reserve(self, product_id: UUID, quantity: int) -> bool:
        """Whether that quantity can be reserved; of a backorderable product, nearly always."""
        product = self.product(product_id)
        if product is None:
            return False
        if product.backorderable:
            return product.reserved + quantity <= MAX_QUANTITY
        return self.available(product_id) >= quantity

    def reserve(self, product_id: UUID, quantity: int, *, cause: Cause) -> None:
        """Reserve that quantity, from the locations by priority.

        What a backorderable product lacks is reserved at its first location. Raises ValueError
        unless `can_reserve`.
        """
        if not self.can_reserve(product_id, quantity):
            raise ValueError(f"{quantity} of {product_id} cannot be reserved.")
        takes = []
        for level in self._levels[product_id]:
            take = min(max(level.available, 0), quantity)
            takes.append(take)
            quantity -= take
        takes[0] += quantity
        for level, take in zip(self._levels[product_id], takes, strict=True):
            self._move(level, MovementKind.RESERVE, reserved=take, cause=cause)

    def release(self, quantities: Quantities, *, cause: Cause) -> None:
        """Release reserved quantities."""
        for level, quantity in self._at(quantities):
            self._move(level, MovementKind.RELEASE, reserved=-quantity, cause=cause)

    def ship(self, quantities: Quantities, *, cause: Cause) -> None:
        """Ship reserved quantities."""
        for level, quantity in self._at(quantities):
            self._move(level, MovementKind.SHIP, on_hand=-quantity, reserved=-quantity, cause=cause)

    def lacking(self, quantities: Quantities) -> list[dict[str, object]]:
        """The products of which less is on hand, with the numbers for the client."""
        return [
            {
                "product_id": str(level.product_id),
                "sku": level.sku,
                "requested": quantity,
                "on_hand": level.on_hand,
            }
            for level, quantity in self._at(quantities)
            if level.on_hand < quantity
        ]

    def return_units(self, quantities: Quantities, *, cause: Cause) -> None:
        """Restock quantities that had been shipped."""
        for level, quantity in self._at(quantities):
            self._move(level, MovementKind.RETURN, on_hand=quantity, cause=cause)

    def adjust(self, level: LockedLevel, delta: int, *, kind: MovementKind, cause: Cause) -> None:
        """Correct what is on hand at one level."""
        self._move(level, kind, on_hand=delta, cause=cause)

    def level_at(self, product_id: UUID, location_code: str) -> LockedLevel | None:
        """The product's level at that location; None if it has none there."""
        levels = self._levels.get(product_id, ())
        return next((level for level in levels if level.location_code == location_code), None)

    def savepoint(self) -> int:
        """The present state, for `rollback`."""
        return len(self._movements)

    def rollback(self, savepoint: int) -> None:
        """Undo every movement since the savepoint."""
        while len(self._movements) > savepoint:
            movement = self._movements.pop()
            movement.level.on_hand -= movement.on_hand_delta
            movement.level.reserved -= movement.reserved_delta

    @property
    def movements(self) -> tuple[Movement, ...]:
        """The movements that `save` will write, or has written last."""
        return tuple(self._movements)

    @transaction_required
    def save(self, *, at: datetime, pipeline: Pipeline | None = None) -> None:
        """Write the new balances, the ledger's rows and the events of products that ran low."""
        moved = {movement.level.id: movement.level for movement in self._movements}
        if not moved:
            return
        self._report()
        levels = list(moved.values())
        write(
            _UPDATE_LEVELS,
            [
                at,
                [level.id for level in levels],
                [level.on_hand for level in levels],
                [level.reserved for level in levels],
            ],
            pipeline=pipeline,
        )
        insert_rows(
            StockMovement,
            _MOVEMENT_COLUMNS,
            [
                (
                    movement.id,
                    movement.level.product_id,
                    movement.level.location_id,
                    movement.kind.value,
                    movement.on_hand_delta,
                    movement.reserved_delta,
                    movement.on_hand_after,
                    movement.reserved_after,
                    movement.cause.reference,
                    movement.cause.reason,
                    movement.cause.note,
                    movement.cause.order_id,
                    movement.cause.actor.id,
                    movement.cause.actor.label,
                    at,
                )
                for movement in self._movements
            ],
            pipeline=pipeline,
        )
        publish_all([*self._ran_low(), *self._became_available()], at=at, pipeline=pipeline)

    def _report(self) -> None:
        run = current_dry_run()
        if run is not None:
            for movement in self._movements:
                run.move_stock(
                    movement.level.product_id,
                    movement.level.location_code,
                    on_hand=movement.on_hand_delta,
                    reserved=movement.reserved_delta,
                )

    def _ran_low(self) -> list[tuple[StockRanLow, Actor]]:
        events = {}
        for movement in self._movements:
            product_id = movement.level.product_id
            threshold = movement.level.low_stock_threshold
            if self._available_before[product_id] > threshold >= self.available(product_id):
                event = StockRanLow(
                    product_id=product_id,
                    sku=movement.level.sku,
                    name=movement.level.name,
                    available=self.available(product_id),
                    threshold=threshold,
                )
                events[product_id] = (event, movement.cause.actor)
        return list(events.values())

    def _became_available(self) -> list[tuple[ProductBecameAvailable, Actor]]:
        """The events of products of which some is available now and none was."""
        events = []
        for product_id, before in self._available_before.items():
            if before > 0 or (available := self.available(product_id)) <= 0:
                continue
            movement = next(m for m in self._movements if m.level.product_id == product_id)
            event = ProductBecameAvailable(
                product_id=product_id,
                sku=movement.level.sku,
                name=movement.level.name,
                available=available,
            )
            events.append((event, movement.cause.actor))
        return events

    def _at(self, quantities: Quantities) -> list[tuple[LockedLevel, int]]:
        by_place = {
            (level.product_id, level.location_id): level
            for levels in self._levels.values()
            for level in levels
        }
        return [(by_place[place], quantity) for place, quantity in sorted(quantities.items())]

    def _move(
        self,
        level: LockedLevel,
        kind: MovementKind,
        *,
        cause: Cause,
        on_hand: int = 0,
        reserved: int = 0,
    ) -> None:
        if not on_hand and not reserved:
            return
        level.on_hand += on_hand
        level.reserved += reserved
        self._movements.append(
            Movement(
                id=new_id(),
                level=level,
                kind=kind,
                on_hand_delta=on_hand,
                reserved_delta=reserved,
                on_hand_after=level.on_hand,
                reserved_after=level.reserved,
                cause=cause,
            )
        )
