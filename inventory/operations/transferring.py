"""Transfers of many products between locations, in one transaction."""

from __future__ import annotations

from collections.abc import Sequence

from inventory.errors import StockLinesConflict
from inventory.models import MAX_QUANTITY, DocumentKind, MovementKind, StockDocument
from inventory.operations.documents import (
    StockLine,
    cause_of,
    create_document,
    create_items,
    find_content,
    level_at,
    open_levels,
    save_movements,
)
from oms.core import clock
from oms.core.actor import Actor
from oms.core.errors import InputError, Invalid
from oms.core.permissions import Permission
from oms.db.transactions import transaction


@transaction
def transfer_stock(
    *, actor: Actor, reference: str, lines: Sequence[StockLine], from_location: str, to: str
) -> StockDocument:
    """Transfer the quantities to another location; returns the transfer.

    Reserved quantities can be transferred too: their allocations move. A transfer with the same
    reference and content is returned as it is. Raises PermissionDenied, Invalid for unknown
    locations and products, ReferenceTaken for other content, and StockLinesConflict naming each
    line of which less is on hand.
    """
    actor.require(Permission.STOCK_VIEW, Permission.STOCK_TRANSFER)
    if from_location == to:
        detail = "Choose another location than the one to transfer from."
        raise Invalid([InputError(pointer="/to", code="same_location", detail=detail)])
    content = find_content(location=to, from_location=from_location, lines=lines)
    now = clock.now()
    document, is_new = create_document(
        actor=actor,
        kind=DocumentKind.TRANSFER,
        reference=reference,
        content=content,
        booked=len(lines),
        at=now,
    )
    if not is_new:
        return document
    allocator = open_levels(content.product_ids, location=content.location)
    cause = cause_of(document, actor=actor, reason="transferred")
    errors = []
    for number, (product_id, line) in enumerate(zip(content.product_ids, lines, strict=True)):
        source = allocator.level_at(product_id, from_location)
        target = level_at(allocator, product_id, content.location)
        on_hand = source.on_hand if source is not None else 0
        if source is None or on_hand < line.quantity:
            errors.append(
                InputError(
                    pointer=f"/items/{number}/quantity",
                    code="not_on_hand",
                    detail=f"{line.quantity} requested, {on_hand} on hand.",
                    data={
                        "product_id": str(product_id),
                        "sku": target.sku,
                        "requested": line.quantity,
                        "on_hand": on_hand,
                    },
                )
            )
            continue
        if target.on_hand + line.quantity > MAX_QUANTITY:
            detail = f"At most {MAX_QUANTITY:,} units can be on hand."
            pointer = f"/items/{number}/quantity"
            errors.append(InputError(pointer=pointer, code="max_value", detail=detail))
            continue
        allocator.adjust(source, -line.quantity, kind=MovementKind.TRANSFER, cause=cause)
        allocator.adjust(target, line.quantity, kind=MovementKind.TRANSFER, cause=cause)
    if errors:
        allocator.require_complete(content.product_ids)
        raise StockLinesConflict(errors)
    save_movements(allocator, actor=actor, at=now)
    create_items(document, content, deltas=[line.quantity for line in lines])
    return document
