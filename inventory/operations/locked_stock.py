"""Locked stock levels, their movements, and how both are written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from inventory.events import ProductBecameAvailable, StockRanLow
from inventory.locks import LockedLevel
from inventory.models import MovementKind, StockMovement
from oms.core.actor import Actor
from oms.core.ids import new_id
from oms.db.bulk_writes import insert_rows
from oms.db.pipeline import Pipeline
from oms.db.transactions import RetryTransaction
from oms.events.types import DomainEvent

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


class LockedStock:
    """Locked stock levels by product, and the movements of them that `write` has yet to write."""

    def __init__(self, levels: Iterable[LockedLevel]) -> None:
        self._levels: dict[UUID, list[LockedLevel]] = {}
        for level in sorted(levels, key=lambda level: (level.priority, level.location_code)):
            self._levels.setdefault(level.product_id, []).append(level)
        self._available_before = {id: self.available(id) for id in self._levels}
        self.movements: list[Movement] = []

    def levels_of(self, product_id: UUID) -> Sequence[LockedLevel]:
        """The product's levels by the priority of their locations."""
        return self._levels.get(product_id, ())

    def levels_at(self, quantities: Quantities) -> list[tuple[LockedLevel, int]]:
        """The levels of quantities, sorted by product and the priority of their locations.

        Raises RetryTransaction if one is not locked here: it was made while this transaction
        waited for the locks of the others.
        """
        levels = [
            (level, quantities[product_id, level.location_id])
            for product_id in sorted({product_id for product_id, _ in quantities})
            for level in self.levels_of(product_id)
            if (product_id, level.location_id) in quantities
        ]
        if len(levels) < len(quantities):
            raise RetryTransaction
        return levels

    def available(self, product_id: UUID) -> int:
        """The quantity of the product that can be reserved, at all locations together."""
        return sum(level.available for level in self._levels.get(product_id, ()))

    def move(
        self,
        level: LockedLevel,
        kind: MovementKind,
        *,
        cause: Cause,
        on_hand: int = 0,
        reserved: int = 0,
    ) -> None:
        """Note a movement, and change the level by it; one of nothing is left out."""
        if not on_hand and not reserved:
            return
        level.on_hand += on_hand
        level.reserved += reserved
        self.movements.append(
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

    def undo(self, keep: int) -> None:
        """Undo all movements but the first `keep`."""
        while len(self.movements) > keep:
            movement = self.movements.pop()
            movement.level.on_hand -= movement.on_hand_delta
            movement.level.reserved -= movement.reserved_delta

    def write(self, *, at: datetime, pipeline: Pipeline) -> None:
        """Queue the new balances and the rows of the ledger."""
        moved = {movement.level.id: movement.level for movement in self.movements}
        if not moved:
            return
        levels = moved.values()
        pipeline.write(
            _UPDATE_LEVELS,
            [
                at,
                [level.id for level in levels],
                [level.on_hand for level in levels],
                [level.reserved for level in levels],
            ],
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
                for movement in self.movements
            ],
            pipeline=pipeline,
        )

    def crossings(self) -> list[tuple[DomainEvent, Actor]]:
        """The events of the products that fell to their threshold, or became available again."""
        events: list[tuple[DomainEvent, Actor]] = []
        last = {movement.level.product_id: movement for movement in self.movements}
        for product_id, movement in last.items():
            level, actor = movement.level, movement.cause.actor
            before, now = self._available_before[product_id], self.available(product_id)
            if before > level.low_stock_threshold >= now:
                ran_low = StockRanLow(
                    product_id=product_id,
                    sku=level.sku,
                    name=level.name,
                    available=now,
                    threshold=level.low_stock_threshold,
                )
                events.append((ran_low, actor))
            elif before <= 0 < now:
                returned = ProductBecameAvailable(
                    product_id=product_id, sku=level.sku, name=level.name, available=now
                )
                events.append((returned, actor))
        return events
