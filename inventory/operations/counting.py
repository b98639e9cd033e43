"""Counts of many products at a location, in one transaction."""

from __future__ import annotations

from collections.abc import Sequence

from inventory.errors import StockLinesConflict
from inventory.models import DocumentKind, MovementKind, StockDocument
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
from oms.core.errors import InputError
from oms.core.permissions import Permission
from oms.db.transactions import transaction


@transaction
def count_stock(
    *, actor: Actor, reference: str, lines: Sequence[StockLine], location: str | None = None
) -> StockDocument:
    """Set what is on hand at a location, by default the default one, to the counted quantities.

    Counts may be below what is reserved. A count with the same reference and content is returned as
    it is. Raises PermissionDenied, Invalid for unknown locations and products, ReferenceTaken for
    other content, and StockLinesConflict naming each line whose `expected_on_hand` is wrong.
    """
    actor.require(Permission.STOCK_VIEW, Permission.STOCK_ADJUST)
    content = find_content(location=location, lines=lines)
    now = clock.now()
    document, is_new = create_document(
        actor=actor,
        kind=DocumentKind.COUNT,
        reference=reference,
        content=content,
        booked=len(lines),
        at=now,
    )
    if not is_new:
        return document
    allocator = open_levels(content.product_ids, location=content.location)
    cause = cause_of(document, actor=actor, reason="counted")
    errors, deltas = [], []
    for number, (product_id, line) in enumerate(zip(content.product_ids, lines, strict=True)):
        level = level_at(allocator, product_id, content.location)
        if line.expected_on_hand not in (None, level.on_hand):
            errors.append(
                InputError(
                    pointer=f"/items/{number}/expected_on_hand",
                    code="unexpected_on_hand",
                    detail=f"{level.on_hand} are on hand, not {line.expected_on_hand}.",
                    data={
                        "product_id": str(product_id),
                        "sku": level.sku,
                        "on_hand": level.on_hand,
                    },
                )
            )
            continue
        deltas.append(line.quantity - level.on_hand)
        allocator.adjust(level, deltas[-1], kind=MovementKind.ADJUST, cause=cause)
    if errors:
        raise StockLinesConflict(errors)
    save_movements(allocator, actor=actor, at=now)
    create_items(document, content, deltas=deltas)
    return document
