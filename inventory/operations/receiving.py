"""Receipts: deliveries of many products, booked in chunks.

Each chunk is a transaction of its own, with a constant number of statements, so that no lock is
held for long however many orders wait for the products. The lines are stored with the first chunk;
a receipt that was interrupted is continued by the next call with its reference, and by a task.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

import structlog
from django.db import transaction as django_transaction
from django.db.models import QuerySet

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
from oms.core.deadline import time_left, within_deadline
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
# How long after its creation a receipt that is not booked counts as one that cannot be.
OVERDUE_AFTER = timedelta(minutes=10)


class _Item(NamedTuple):
    """An item of a receipt."""

    number: int
    product_id: UUID
    quantity: int


def receive_stock(
    *, actor: Actor, reference: str, lines: Sequence[StockLine], location: str | None = None
) -> StockDocument:
    """Receive the quantities at a location, by default the default one; returns the receipt.

    A receipt with the same reference and content is returned as it is, its rest booked. Inside of a
    transaction, shortly before the deadline, or if there is no room any more for what it has left,
    the rest is left to the task; a dry run shows all. Raises PermissionDenied, Invalid for unknown
    locations and products, ReferenceTaken for other content, StockLinesConflict for what is more
    than can be on hand, and in a dry run DeadlineExceeded.
    """
    document = _start_receipt(actor=actor, reference=reference, lines=lines, location=location)
    while not document.is_completed:
        if current_dry_run() is not None:
            within_deadline(_SPARE_SECONDS)
            document = book_next_items(document.id)
        elif _is_left_to_the_task():
            wake_on_commit(BOOK_TASK)
            break
        else:
            try:
                document = book_next_items(document.id)
            except StockLinesConflict:
                # Others have received the same meanwhile. What is booked stays booked.
                break
    return document


def _is_left_to_the_task() -> bool:
    """Whether the rest is not booked now: in a transaction, or shortly before the deadline."""
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
        numbered = [
            _Item(number, product_id, line.quantity)
            for number, (product_id, line) in enumerate(
                zip(content.product_ids, lines, strict=True)
            )
        ]
        # Of all lines, so that a receipt that nobody disturbs is booked as a whole or not at all.
        levels = StockLevel.objects.filter(
            product__in=content.product_ids, location=content.location
        )
        _check_capacity(numbered, on_hand=dict(levels.values_list("product_id", "on_hand")))
        _receive(document, numbered[:booked], actor)
        deltas = [each.quantity if each.number < booked else None for each in numbered]
        create_items(document, content, deltas=deltas)
    return document


@transaction
def book_next_items(document_id: UUID) -> StockDocument:
    """Book the next chunk of a receipt, if anything is left of it; returns it.

    Raises StockLinesConflict for what is more than can be on hand.
    """
    document = lock_stock_document(pk=document_id)
    if document.is_completed:
        return document
    rest = StockDocumentItem.objects.filter(document=document, on_hand_delta__isnull=True)
    items = list(rest.order_by("number")[:CHUNK])
    # The document knows who; whether the account may receive was asked when it was created.
    actor = Actor(kind=ActorKind.STAFF, id=document.actor_id, label=document.actor_label)
    _receive(
        document, [_Item(item.number, item.product_id, item.quantity) for item in items], actor
    )
    update_rows(
        StockDocumentItem, ("id", "on_hand_delta"), [(item.id, item.quantity) for item in items]
    )
    document.items_booked += len(items)
    if document.items_booked == document.items_total:
        document.completed_at = clock.now()
    document.save(update_fields=["items_booked", "completed_at"])
    return document


def book_unfinished_receipts(*, failed: set[UUID]) -> int:
    """Book one chunk of each unfinished receipt; the number of receipts that advanced.

    What fails is logged and joins `failed`, whose receipts are left out; so each fails once in a
    run and stops no other. `overdue_receipts` has them until they are booked.
    """
    advanced = 0
    unfinished = StockDocument.objects.filter(completed_at__isnull=True).exclude(pk__in=failed)
    for id in list(unfinished.order_by("pk").values_list("pk", flat=True)):
        try:
            book_next_items(id)
        except Exception as error:
            failed.add(id)
            log.error(
                "receipt_not_booked",
                stock_document_id=str(id),
                exc_info=not isinstance(error, StockLinesConflict),
            )
        else:
            advanced += 1
    return advanced


def overdue_receipts() -> QuerySet[StockDocument]:
    """The receipts that should have been booked long ago."""
    before = clock.now() - OVERDUE_AFTER
    return StockDocument.objects.filter(completed_at__isnull=True, created_at__lt=before)


@transaction_required
def _receive(document: StockDocument, items: Sequence[_Item], actor: Actor) -> None:
    with _undone_in_a_dry_run():
        allocator = open_levels([item.product_id for item in items], location=document.location)
        levels = {
            item.product_id: level_at(allocator, item.product_id, document.location)
            for item in items
        }
        _check_capacity(items, on_hand={id: level.on_hand for id, level in levels.items()})
        cause = cause_of(document, actor=actor, reason="received")
        for item in items:
            allocator.adjust(
                levels[item.product_id], item.quantity, kind=MovementKind.RECEIVE, cause=cause
            )
        save_movements(allocator, actor=actor, at=clock.now())


@contextmanager
def _undone_in_a_dry_run() -> Iterator[None]:
    """In a dry run, undo the block at its end, which releases its locks with the savepoint.

    So a dry run of all chunks in one transaction holds locks for no longer than the chunks do.
    """
    if current_dry_run() is None:
        yield
        return
    with django_transaction.atomic():
        yield
        django_transaction.set_rollback(True)


def _check_capacity(items: Iterable[_Item], *, on_hand: Mapping[UUID, int]) -> None:
    """Raise StockLinesConflict naming each item that is more than can be on hand."""
    errors = [
        InputError(
            pointer=f"/items/{item.number}/quantity",
            code="max_value",
            detail=f"At most {MAX_QUANTITY:,} units can be on hand.",
            data={
                "product_id": str(item.product_id),
                "on_hand": on_hand.get(item.product_id, 0),
            },
        )
        for item in items
        if on_hand.get(item.product_id, 0) + item.quantity > MAX_QUANTITY
    ]
    if errors:
        raise StockLinesConflict(errors)
