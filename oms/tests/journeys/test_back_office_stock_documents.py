"""Receiving and transferring stock in the back office, and the documents of it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from pytest_django.fixtures import DjangoAssertNumQueries

from inventory.models import Product, StockDocument, StockMovement
from inventory.operations.counting import count_stock
from inventory.operations.documents import StockLine
from inventory.operations.receiving import receive_stock
from inventory.tests.stock_documents import on_hand, violations
from oms.core.actor import system
from oms.testing.factories import make_location, make_product

pytestmark = pytest.mark.django_db

DOCUMENTS = "/admin/inventory/stockdocument/"


def action(product: Product, name: str) -> str:
    return f"/admin/inventory/product/{product.pk}/{name}/"


def text(response: Any) -> str:
    return str(response.content.decode())


def test_stock_is_received_once_however_often_the_form_is_sent(staff: Client) -> None:
    product = make_product(stock=0, name="Cup")
    page = text(staff.get(action(product, "receive")))
    found = re.search(r'name="reference" value="(BO-[0-9a-f]{12})"', page)
    assert found is not None
    form = {"quantity": "12", "location": "main", "reference": found[1]}

    responses = [staff.post(action(product, "receive"), form, follow=True) for _ in range(2)]

    assert all("12 of Cup received." in text(response) for response in responses)
    assert on_hand(product) == 12
    assert StockMovement.objects.get(kind="receive").actor_label == "admin@example.com"
    assert violations() == []


def test_stock_is_transferred(staff: Client) -> None:
    product = make_product(stock=5, name="Cup")
    make_location(code="store", name="Store")
    form = {"quantity": "2", "location": "main", "to": "store", "reference": "TR-1"}

    response = staff.post(action(product, "transfer"), form, follow=True)

    assert "2 of Cup transferred." in text(response)
    assert (on_hand(product), on_hand(product, "store")) == (3, 2)


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("receive", {"quantity": "0"}, "greater than or equal to 1"),
        ("receive", {"location": "moon"}, "Select a valid choice"),
        ("receive", {"reference": "DN-1"}, "Another document with different content has this"),
        ("receive", {"reference": ""}, "This field is required"),
        ("transfer", {"to": "main"}, "Choose another location"),
        ("transfer", {"quantity": "9"}, "9 requested, 5 on hand."),
    ],
)
def test_a_rejected_action_shows_why_and_changes_nothing(
    staff: Client, name: str, values: dict[str, str], message: str
) -> None:
    product = make_product(stock=5)
    make_location(code="store")
    lines = [StockLine(product_id=make_product(stock=0).id, quantity=1)]
    receive_stock(actor=system("tests"), reference="DN-1", lines=lines)
    form = {"quantity": "1", "location": "main", "to": "store", "reference": "NEW"}

    response = staff.post(action(product, name), {**form, **values})

    assert response.status_code == 200
    assert message in text(response)
    assert on_hand(product) == 5
    assert StockDocument.objects.count() == 1


def test_documents_are_listed_found_and_shown(
    staff: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    cup, mug = make_product(stock=5, name="Cup"), make_product(stock=5, name="Mug")
    receive_stock(
        actor=system("tests"),
        reference="DN-1",
        lines=[StockLine(product_id=cup.id, quantity=12), StockLine(product_id=mug.id, quantity=1)],
    )
    count = count_stock(
        actor=system("tests"),
        reference="C-7",
        lines=[StockLine(product_id=cup.id, quantity=15, expected_on_hand=17)],
    )

    listed = text(staff.get(DOCUMENTS))
    found = text(staff.get(DOCUMENTS, {"q": "C-7"}))
    with django_assert_max_num_queries(12):
        shown = text(staff.get(f"{DOCUMENTS}{count.pk}/change/"))

    assert ("DN-1" in listed, "C-7" in listed) == (True, True)
    assert ("DN-1" in found, "C-7" in found) == (False, True)
    assert "Cup" in shown
    assert "\N{MINUS SIGN}2" in shown or "-2" in shown
    assert "_save" not in shown
    assert staff.get(f"{DOCUMENTS}add/").status_code == 403
