"""Receipts of which something is left to book: interrupted, late, or without room."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from django.db import transaction
from django.test import Client
from rest_framework.test import APIClient

from inventory.models import StockDocument, StockMovement
from inventory.operations import receiving
from inventory.operations.adjustments import AdjustmentReason, Change, adjust_stock
from inventory.operations.receiving import (
    OVERDUE_AFTER,
    book_unfinished_receipts,
    receive_stock,
)
from inventory.tests.stock_documents import RECEIPTS, violations
from inventory.tests.test_receipts import body, lines
from oms.attention import KINDS
from oms.core import clock
from oms.core.actor import system
from oms.core.deadline import deadline_in
from oms.core.ids import new_id
from oms.testing.factories import (
    api_client,
    make_staff,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff() -> APIClient:
    return api_client(make_staff(email="sam@example.com"))


def test_shortly_before_its_deadline_a_call_leaves_the_rest_to_the_background(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(receiving, "CHUNK", 10)
    with deadline_in(seconds=4):
        document = receive_stock(actor=system("tests"), reference="DN-1", lines=lines(25))

    assert (document.items_booked, document.completed_at) == (10, None)
    assert [book_unfinished_receipts(failed=set()) for _ in range(3)] == [1, 1, 0]


class Killed(BaseException):
    """The process ends."""


def test_an_interrupted_receipt_says_how_far_it_is_and_is_finished_by_repeating_it(
    staff: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiving, "CHUNK", 10)
    content = lines(35)
    book_next_items = receiving.book_next_items

    def die_in_the_third_chunk(document_id: Any) -> Any:
        if StockDocument.objects.get(pk=document_id).items_booked == 20:
            raise Killed
        return book_next_items(document_id)

    monkeypatch.setattr(receiving, "book_next_items", die_in_the_third_chunk)
    with pytest.raises(Killed):
        receive_stock(actor=system("tests"), reference="DN-1", lines=content)
    document = StockDocument.objects.get()
    shown = staff.get(f"{RECEIPTS}/{document.id}").json()
    assert (shown["items_total"], shown["items_booked"], shown["completed_at"]) == (35, 20, None)
    assert [item["is_booked"] for item in shown["items"]] == [True] * 20 + [False] * 15
    assert violations() == []

    monkeypatch.setattr(receiving, "book_next_items", book_next_items)
    items = [{"product_id": str(line.product_id), "quantity": line.quantity} for line in content]
    again = staff.post(RECEIPTS, body(*items))

    assert again.status_code == 201
    assert again.json()["id"] == str(document.id)
    assert again.json()["items_booked"] == 35
    assert again.json()["completed_at"] is not None
    assert violations() == []
    assert StockMovement.objects.filter(kind="receive").count() == 35


def test_the_background_finishes_an_interrupted_receipt_in_the_name_of_its_actor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(receiving, "CHUNK", 10)
    content = lines(25)
    with monkeypatch.context() as killed:
        killed.setattr(receiving, "in_transaction", lambda: True)
        receive_stock(actor=system("tests"), reference="DN-1", lines=content)

    assert [book_unfinished_receipts(failed=set()) for _ in range(3)] == [1, 1, 0]

    assert StockDocument.objects.get().is_completed
    assert set(StockMovement.objects.values_list("actor_label", flat=True)) == {"tests"}
    assert violations() == []


def full_after_the_first_item(reference: str) -> StockDocument:
    """A receipt whose second item finds no room any more, with chunks of one item."""
    content = lines(2)
    with transaction.atomic():
        receive_stock(actor=system("tests"), reference=reference, lines=content)
    adjust_stock(
        actor=system("tests"),
        product_id=content[1].product_id or new_id(),
        reason=AdjustmentReason.RECEIVED,
        amount=Change(delta=2_000_000_000),
    )
    return StockDocument.objects.get(reference=reference)


def test_receipts_that_cannot_be_booked_stop_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiving, "CHUNK", 1)
    stuck = [full_after_the_first_item(f"DN-{number}") for number in range(101)]
    with transaction.atomic():
        good = receive_stock(actor=system("tests"), reference="DN-good", lines=lines(3))
    failed: set[UUID] = set()

    advanced = [book_unfinished_receipts(failed=failed) for _ in range(3)]

    assert advanced == [1, 1, 0]
    good.refresh_from_db()
    assert good.is_completed
    assert failed == {document.id for document in stuck}
    assert violations() == []


def test_a_receipt_that_cannot_be_booked_is_reported_and_booked_once_there_is_room(
    staff: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiving, "CHUNK", 1)
    document = full_after_the_first_item("DN-1")
    items = list(document.items.all())
    again = staff.post(
        RECEIPTS,
        body(*[{"product_id": str(i.product_id), "quantity": i.quantity} for i in items]),
    )
    assert (again.status_code, again.json()["items_booked"]) == (201, 1)
    [kind] = [kind for kind in KINDS if kind.name == "receipts"]
    assert (kind.count(), violations()) == (0, [])

    StockDocument.objects.update(created_at=clock.now() - 2 * OVERDUE_AFTER)

    assert kind.count() == 1
    browser = Client()
    browser.force_login(make_staff())
    assert "DN-1" in browser.get(f"{kind.url}?{kind.query}").content.decode()
    assert violations() == ["no_overdue_receipts"]
    adjust_stock(
        actor=system("tests"),
        product_id=items[1].product_id,
        reason=AdjustmentReason.LOST,
        amount=Change(delta=-2),
    )
    assert book_unfinished_receipts(failed=set()) == 1
    assert (kind.count(), violations()) == (0, [])
