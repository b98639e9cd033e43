"""Receipts: deliveries of many products, booked in chunks.

Each chunk is a transaction of its own, with a constant number of statements, so that no lock is
held for long however many orders wait for the products. The lines are stored with the first chunk;
a receipt that was interrupted is continued by the next call with its reference, and by a task.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import structlog

from inventory.errors import StockLinesConflict
from inventory.locks import lock_stock_document
from inventory.models import (
    MAX_QUANTITY,
    DocumentKind,
    MovementKind,
    StockDocument,
    StockDocumentItem,
    StockLevel,
)
from inventory.operations.documents import (
    Content,
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
from oms.core.actor import Actor, ActorKind
from oms.core.deadline import time_left
from oms.core.dry_runs import current_dry_run
from oms.core.errors import InputError
from oms.core.permissions import Permission
from oms.db.bulk_writes import update_rows
from oms.db.transactions import in_transaction, transaction, transaction_required
from oms.queue.wakeups import wake_on_commit

log = structlog.get_logger(__name__)

# The Celery task that books the rest of receipts.
BOOK_TASK = "inventory.book_receipts"
# Products in one transaction.
CHUNK = 50
# What is left of the deadline when the call stops booking, so that it can still be answered.
_SPARE_SECONDS = 5.0


def receive_stock(
    *, actor: Actor, reference: str, lines: Sequence[StockLine], location: str | None = None
) -> StockDocument:
    """Receive the quantities at a location, by default the default one; returns the receipt.

    A receipt with the same reference and content is returned as it is, its rest booked. Inside of a
    transaction, or shortly before the deadline, the rest is left to the task. Raises
    PermissionDenied, Invalid for unknown locations and products, ReferenceTaken for other content,
    and StockLinesConflict for what is more than can be on hand.
    """
    document = _start_receipt(actor=actor, reference=reference, lines=lines, location=location)
    while not document.is_completed:
        if _is_left_to_the_task():
            wake_on_commit(BOOK_TASK)
            break
        document = book_next_items(document.id)
    return document


def _is_left_to_the_task() -> bool:
    """Whether the rest is not booked now: in a transaction, or shortly before the deadline."""
    if current_dry_run() is not None:
        return False  # which shows all of it, and is rolled back as a whole
    left = time_left()
    return in_transaction() or (left is not None and left < _SPARE_SECONDS)


@transaction
def _start_receipt(
    *, actor: Actor, reference: str, lines: Sequence[StockLine], location: str | None
) -> StockDocument:
    """The receipt with its first chunk booked, or as it is if there is one."""
    actor.require(Permission.STOCK_VIEW, Permission.STOCK_RECEIVE)
    content = find_content(location=location, lines=lines)
    booked = min(CHUNK, len(lines))
    document, is_new = create_document(
        actor=actor,
        kind=DocumentKind.RECEIPT,
        reference=reference,
        content=content,
        booked=booked,
        at=clock.now(),
    )
    if is_new:
        _check_capacity(content)
        quantities = [line.quantity for line in lines]
        _receive(document, dict(zip(content.product_ids[:CHUNK], quantities, strict=False)), actor)
        deltas = [*quantities[:CHUNK], *([None] * (len(lines) - booked))]
        create_items(document, content, deltas=deltas)
    return document


@transaction
def book_next_items(document_id: UUID) -> StockDocument:
    """Book the next chunk of a receipt, if anything is left of it; returns it."""
    document = lock_stock_document(pk=document_id)
    if document.is_completed:
        return document
    rest = StockDocumentItem.objects.filter(document=document, on_hand_delta__isnull=True)
    items = list(rest.order_by("number")[:CHUNK])
    # The document knows who; whether the account may receive was asked when it was created.
    actor = Actor(kind=ActorKind.STAFF, id=document.actor_id, label=document.actor_label)
    _receive(document, {item.product_id: item.quantity for item in items}, actor)
    update_rows(
        StockDocumentItem, ("id", "on_hand_delta"), [(item.id, item.quantity) for item in items]
    )
    document.items_booked += len(items)
    if document.items_booked == document.items_total:
        document.completed_at = clock.now()
    document.save(update_fields=["items_booked", "completed_at"])
    return document


def book_unfinished_receipts() -> int:
    """Book one chunk of each unfinished receipt; the number of receipts that advanced.

    What fails is logged, so that it does not stop the others, and is tried again by the next run.
    """
    advanced = 0
    unfinished = StockDocument.objects.filter(completed_at__isnull=True).order_by("pk")
    for id in unfinished.values_list("pk", flat=True)[:100]:
        try:
            book_next_items(id)
        except Exception:
            log.exception("receipt_not_booked", stock_document_id=str(id))
        else:
            advanced += 1
    return advanced


@transaction_required
def _receive(document: StockDocument, quantities: dict[UUID, int], actor: Actor) -> None:
    allocator = open_levels(list(quantities), location=document.location)
    cause = cause_of(document, actor=actor, reason="received")
    for product_id, quantity in quantities.items():
        level = level_at(allocator, product_id, document.location)
        allocator.adjust(level, quantity, kind=MovementKind.RECEIVE, cause=cause)
    save_movements(allocator, actor=actor, at=clock.now())


def _check_capacity(content: Content) -> None:
    """Raise StockLinesConflict naming each line that is more than can be on hand."""
    levels = StockLevel.objects.filter(
        product__in=content.product_ids, location=content.location
    ).values_list("product_id", "on_hand")
    on_hand = dict(levels)
    errors = [
        InputError(
            pointer=f"/items/{number}/quantity",
            code="max_value",
            detail=f"At most {MAX_QUANTITY:,} units can be on hand.",
            data={"product_id": str(product_id), "on_hand": on_hand.get(product_id, 0)},
        )
        for number, (product_id, line) in enumerate(
            zip(content.product_ids, content.lines, strict=True)
        )
        if on_hand.get(product_id, 0) + line.quantity > MAX_QUANTITY
    ]
    if errors:
        raise StockLinesConflict(errors)
