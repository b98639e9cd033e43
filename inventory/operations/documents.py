"""What receipts, transfers and counts share: their lines, their references, their stock levels."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from django.db.models import Q
from django.db.models.functions import Lower

from inventory.errors import ReferenceTaken
from inventory.events import StockAdjusted, StockDocumentCreated
from inventory.locks import LockedLevel, lock_stock_document
from inventory.models import (
    DocumentKind,
    Location,
    Product,
    StockDocument,
    StockDocumentItem,
    StockLevel,
)
from inventory.operations.products import default_location
from inventory.operations.stock import Cause, StockAllocator, open_stock_allocator
from oms.core.actor import Actor
from oms.core.errors import InputError, Invalid
from oms.core.ids import new_id
from oms.db.bulk_writes import insert_rows
from oms.db.transactions import transaction_required
from oms.events.publishing import publish, publish_all

MAX_LINES = 1_000


@dataclass(frozen=True, kw_only=True)
class StockLine:
    """A quantity of the product with that id or SKU; one of the two is given.

    `expected_on_hand` is of counts alone.
    """

    quantity: int
    product_id: UUID | None = None
    sku: str | None = None
    expected_on_hand: int | None = None

    @property
    def pointer(self) -> str:
        """The member that names the product."""
        return "product_id" if self.sku is None else "sku"


class Content(NamedTuple):
    """What a document is about, with the product of each line in the same order."""

    location: Location
    from_location: Location | None
    lines: Sequence[StockLine]
    product_ids: Sequence[UUID]

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the content; the order of the lines does not matter."""
        items = sorted(
            (str(product_id), line.quantity, line.expected_on_hand)
            for product_id, line in zip(self.product_ids, self.lines, strict=True)
        )
        from_id = self.from_location and str(self.from_location.id)
        content = json.dumps([str(self.location.id), from_id, items])
        return hashlib.sha256(content.encode()).hexdigest()


def find_content(
    *, location: str | None, lines: Sequence[StockLine], from_location: str | None = None
) -> Content:
    """The locations with those codes, by default the default one, and the products of the lines.

    Raises Invalid naming each location that does not exist and each line whose product does not
    exist or is in an earlier line.
    """
    named = {"location": location}
    if from_location is not None:
        named = {"from": from_location, "to": location}
    codes = [code for code in named.values() if code is not None]
    found = {each.code: each for each in Location.objects.filter(code__in=codes)}
    errors = [
        _invalid(f"/{name}", code="not_found", detail="No such location.")
        for name, code in named.items()
        if code is not None and code not in found
    ]
    product_ids, line_errors = _products_of(lines)
    if errors or line_errors:
        raise Invalid([*errors, *line_errors])
    return Content(
        location=default_location() if location is None else found[location],
        from_location=None if from_location is None else found[from_location],
        lines=lines,
        product_ids=product_ids,
    )


def _products_of(lines: Sequence[StockLine]) -> tuple[list[UUID], list[InputError]]:
    ids = [line.product_id for line in lines if line.product_id is not None]
    skus = [line.sku.lower() for line in lines if line.sku is not None]
    rows = (
        Product.objects.annotate(lower_sku=Lower("sku"))
        .filter(Q(pk__in=ids) | Q(lower_sku__in=skus))
        .values_list("id", "lower_sku")
    )
    known: dict[UUID | str, UUID] = {}
    for id, sku in rows:
        known[id] = known[sku] = id
    product_ids: list[UUID] = []
    errors = []
    lines_of: dict[UUID, int] = {}
    for number, line in enumerate(lines):
        key = line.product_id if line.sku is None else line.sku.lower()
        product_id = known.get(key) if key is not None else None
        pointer = f"/items/{number}/{line.pointer}"
        if product_id is None:
            errors.append(_invalid(pointer, code="not_found", detail="No such product."))
        elif product_id in lines_of:
            detail = f"Line {lines_of[product_id]} has this product: combine the quantities."
            errors.append(_invalid(pointer, code="duplicate", detail=detail))
        else:
            lines_of[product_id] = number
            product_ids.append(product_id)
    return product_ids, errors


def _invalid(pointer: str, *, code: str, detail: str) -> InputError:
    return InputError(pointer=pointer, code=code, detail=detail)


@transaction_required
def create_document(
    *, actor: Actor, kind: DocumentKind, reference: str, content: Content, booked: int, at: datetime
) -> tuple[StockDocument, bool]:
    """The locked document with the reference, and whether it is new.

    A new one has no items yet, of which `booked` will be booked in this transaction. Waits for
    another transaction that creates one with the same reference. Raises ReferenceTaken if the
    reference is that of a document with other content.
    """
    total = len(content.lines)
    document = StockDocument(
        kind=kind,
        reference=reference,
        fingerprint=content.fingerprint,
        location=content.location,
        from_location=content.from_location,
        items_total=total,
        items_booked=booked,
        completed_at=at if booked == total else None,
        actor_id=actor.id,
        actor_label=actor.label,
        created_at=at,
    )
    StockDocument.objects.bulk_create([document], ignore_conflicts=True)
    existing = lock_stock_document(kind=kind, reference=reference)
    if existing.id == document.id:
        publish(
            StockDocumentCreated(
                stock_document_id=document.id,
                kind=kind.value,
                reference=reference,
                location=content.location.code,
                from_location=content.from_location.code if content.from_location else None,
                items=total,
            ),
            actor=actor,
            at=at,
        )
        return document, True
    if existing.fingerprint != document.fingerprint:
        raise ReferenceTaken
    return existing, False


@transaction_required
def create_items(
    document: StockDocument, content: Content, *, deltas: Sequence[int | None]
) -> None:
    """Insert the items; `deltas` are the booked changes at its location, None for those to book."""
    insert_rows(
        StockDocumentItem,
        (
            "id",
            "document_id",
            "number",
            "product_id",
            "quantity",
            "expected_on_hand",
            "on_hand_delta",
        ),
        [
            (new_id(), document.id, number, id, line.quantity, line.expected_on_hand, delta)
            for number, (id, line, delta) in enumerate(
                zip(content.product_ids, content.lines, deltas, strict=True)
            )
        ],
    )


@transaction_required
def open_levels(product_ids: Sequence[UUID], *, location: Location) -> StockAllocator:
    """The products' locked stock levels, with one for each at the location."""
    StockLevel.objects.bulk_create(
        [StockLevel(product_id=id, location=location) for id in sorted(product_ids)],
        ignore_conflicts=True,
    )
    return open_stock_allocator(product_ids)


def level_at(allocator: StockAllocator, product_id: UUID, location: Location) -> LockedLevel:
    """The product's level at a location that `open_levels` was called with."""
    level = allocator.level_at(product_id, location.code)
    assert level is not None, "open_levels has created it"
    return level


@transaction_required
def save_movements(allocator: StockAllocator, *, actor: Actor, at: datetime) -> None:
    """Save the allocator, and publish an event of each movement that was asked for."""
    allocator.save(at=at)
    publish_all(
        [
            (
                StockAdjusted(
                    product_id=movement.level.product_id,
                    sku=movement.level.sku,
                    location=movement.level.location_code,
                    reason=movement.cause.reason,
                    on_hand_delta=movement.on_hand_delta,
                    on_hand_after=movement.on_hand_after,
                    movement_id=movement.id,
                ),
                actor,
            )
            for movement in allocator.movements
        ],
        at=at,
    )


def cause_of(document: StockDocument, *, actor: Actor, reason: str) -> Cause:
    """The cause of the document's movements."""
    return Cause(
        actor=actor,
        reference=document.movement_reference,
        reason=reason,
        note=document.reference,
    )
