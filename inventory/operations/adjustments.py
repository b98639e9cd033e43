"""Correcting the stock by hand: deliveries, counts, damage, loss and returns."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from inventory.errors import StockConflict
from inventory.events import StockAdjusted
from inventory.locks import lock_product
from inventory.models import MAX_QUANTITY, Location, MovementKind, StockLevel, StockMovement
from inventory.operations.products import default_location
from inventory.operations.stock import Cause, open_stock_allocator
from oms.core import clock
from oms.core.actor import Actor
from oms.core.errors import InputError, Invalid
from oms.core.ids import new_id
from oms.db.transactions import transaction
from oms.events.publishing import publish


class AdjustmentReason(StrEnum):
    RECEIVED = "received"
    CORRECTION = "correction"
    DAMAGED = "damaged"
    LOST = "lost"
    RETURNED = "returned"


# Of pieces that come; whatever takes some away adjusts.
_KINDS = {
    AdjustmentReason.RECEIVED: MovementKind.RECEIVE,
    AdjustmentReason.RETURNED: MovementKind.RETURN,
}


@dataclass(frozen=True, kw_only=True)
class Change:
    """By how many pieces the stock changes."""

    delta: int


@dataclass(frozen=True, kw_only=True)
class Count:
    """How many pieces were counted, where `expected_on_hand` were believed to be."""

    set_to: int
    expected_on_hand: int


@transaction
def adjust_stock(
    *,
    actor: Actor,
    product_id: UUID,
    amount: Change | Count,
    reason: AdjustmentReason,
    location: str | None = None,
    note: str = "",
) -> StockMovement:
    """Correct what is on hand of a product at a location, by default the default one.

    Raises Invalid for an unknown product or location or a change of nothing, and StockConflict
    below zero, below what is reserved, or where `expected_on_hand` is not so.
    """
    # Locked, for a new level copies from it whether it is backorderable.
    product = lock_product(product_id)
    if product is None:
        raise _refused("/product_id", code="not_found", detail="There is no such product.")
    place = _location(location)
    now = clock.now()
    StockLevel.objects.bulk_create(
        [StockLevel(product=product, location=place, backorderable=product.backorderable)],
        ignore_conflicts=True,
    )
    book = open_stock_allocator([product_id])
    level = book.level_at(product_id, place.code)
    assert level is not None, "it was made above"
    if isinstance(amount, Count):
        if level.on_hand != amount.expected_on_hand:
            raise StockConflict(
                f"{level.on_hand} are on hand, not {amount.expected_on_hand}.",
                on_hand=level.on_hand,
                reserved=level.reserved,
            )
        delta = amount.set_to - level.on_hand
    else:
        delta = amount.delta
    if delta == 0:
        pointer = "/set_to" if isinstance(amount, Count) else "/delta"
        raise _refused(pointer, code="no_change", detail="Nothing would change.")
    after = level.on_hand + delta
    promised = 0 if level.backorderable or delta > 0 else level.reserved
    if not promised <= after <= MAX_QUANTITY:
        raise StockConflict(on_hand=level.on_hand, reserved=level.reserved)
    cause = Cause(actor=actor, reference=f"adjustment:{new_id()}", reason=reason.value, note=note)
    kind = _KINDS.get(reason, MovementKind.ADJUST) if delta > 0 else MovementKind.ADJUST
    book.adjust(level, delta, kind=kind, cause=cause)
    book.save(at=now)
    movement = book.movements[-1]
    publish(
        StockAdjusted(
            product_id=product_id,
            sku=product.sku,
            location=place.code,
            reason=reason.value,
            on_hand_delta=delta,
            on_hand_after=after,
            movement_id=movement.id,
        ),
        actor=actor,
        at=now,
    )
    return StockMovement.objects.select_related("product", "location").get(pk=movement.id)


def _location(code: str | None) -> Location:
    if code is None:
        return default_location()
    location = Location.objects.filter(code=code).first()
    if location is None:
        raise _refused("/location", code="not_found", detail="There is no such location.")
    return location


def _refused(pointer: str, *, code: str, detail: str) -> Invalid:
    return Invalid([InputError(pointer=pointer, code=code, detail=detail)])
