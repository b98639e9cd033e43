"""Stock adjustments: deliveries, counts, damage, loss and returns."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from inventory.errors import StockConflict
from inventory.locks import LockedLevel
from inventory.models import MAX_QUANTITY, Location, MovementKind, Product, StockMovement
from inventory.operations.documents import level_at, open_levels, save_movements
from inventory.operations.products import default_location
from inventory.operations.stock import Cause
from oms.core import clock
from oms.core.actor import Actor
from oms.core.errors import InputError, Invalid
from oms.core.ids import new_id
from oms.core.permissions import Permission
from oms.db.transactions import transaction


class AdjustmentReason(StrEnum):
    RECEIVED = "received"
    CORRECTION = "correction"
    DAMAGED = "damaged"
    LOST = "lost"
    RETURNED = "returned"


# Which way the quantity changes, by reason; for the others either way.
_SIGNS = {
    AdjustmentReason.RECEIVED: 1,
    AdjustmentReason.DAMAGED: -1,
    AdjustmentReason.LOST: -1,
}
# Movement kinds of added units; removed units are always ADJUST.
_KINDS = {
    AdjustmentReason.RECEIVED: MovementKind.RECEIVE,
    AdjustmentReason.RETURNED: MovementKind.RETURN,
}


@dataclass(frozen=True, kw_only=True)
class Change:
    """The change of quantity on hand; negative removes stock."""

    delta: int


@dataclass(frozen=True, kw_only=True)
class Count:
    """A counted quantity, and the quantity on hand that was expected."""

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
    """Adjust the quantity on hand of a product at a location, by default the default location.

    It may fall below what is reserved there. Raises PermissionDenied, Invalid for an unknown
    product or location, an empty change or one that its reason rules out, and StockConflict if the
    result is below zero or `expected_on_hand` is wrong.
    """
    actor.require(Permission.STOCK_VIEW, Permission.STOCK_ADJUST)
    if not Product.objects.filter(pk=product_id).exists():
        raise _invalid("/product_id", code="not_found", detail="No such product.")
    place = _location(location)
    now = clock.now()
    allocator = open_levels([product_id], location=place)
    level = level_at(allocator, product_id, place)
    if isinstance(amount, Count):
        if level.on_hand != amount.expected_on_hand:
            raise _conflict(
                level, f"{level.on_hand} are on hand, not {amount.expected_on_hand}. Count again."
            )
        delta = amount.set_to - level.on_hand
    else:
        delta = amount.delta
    pointer = "/set_to" if isinstance(amount, Count) else "/delta"
    if delta == 0:
        raise _invalid(pointer, code="no_change", detail="The quantity wouldn't change.")
    if delta * _SIGNS.get(reason, 0) < 0:
        change = "add to" if delta < 0 else "remove from"
        detail = f"“{reason.value}” must {change} the quantity on hand."
        raise _invalid(pointer, code="wrong_sign", detail=detail)
    after = level.on_hand + delta
    if after < 0:
        raise _conflict(level, f"Only {level.on_hand} are on hand. You tried to remove {-delta}.")
    if after > MAX_QUANTITY:
        raise _conflict(level, f"At most {MAX_QUANTITY:,} units can be on hand.")
    cause = Cause(actor=actor, reference=f"adjustment:{new_id()}", reason=reason.value, note=note)
    kind = _KINDS.get(reason, MovementKind.ADJUST) if delta > 0 else MovementKind.ADJUST
    allocator.adjust(level, delta, kind=kind, cause=cause)
    [movement] = allocator.movements
    save_movements(allocator, actor=actor, at=now)
    return StockMovement.objects.select_related("product", "location").get(pk=movement.id)


def _location(code: str | None) -> Location:
    if code is None:
        return default_location()
    location = Location.objects.filter(code=code).first()
    if location is None:
        raise _invalid("/location", code="not_found", detail="No such location.")
    return location


def _conflict(level: LockedLevel, message: str) -> StockConflict:
    return StockConflict(message, on_hand=level.on_hand, reserved=level.reserved)


def _invalid(pointer: str, *, code: str, detail: str) -> Invalid:
    return Invalid([InputError(pointer=pointer, code=code, detail=detail)])
