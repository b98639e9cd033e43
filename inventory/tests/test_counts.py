"""Counts of many products at a location."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from inventory.holdings import holdings_of
from inventory.models import Product, StockMovement
from inventory.operations.counting import count_stock
from inventory.operations.documents import StockLine
from inventory.tests.stock_documents import COUNTS, on_hand, stock_state, violations
from oms.core.actor import system
from oms.testing.factories import api_client, make_location, make_product, make_staff
from oms.testing.ordering import place

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff() -> APIClient:
    return api_client(make_staff(email="sam@example.com"))


@pytest.fixture
def products() -> list[Product]:
    return [make_product(stock=10, sku=f"P-{number}") for number in range(3)]


def count(client: APIClient, *items: dict[str, Any], **values: Any) -> Any:
    return client.post(COUNTS, {"reference": "C-1", "items": list(items), **values})


def of(product: Product, counted: int, **values: Any) -> dict[str, Any]:
    return {"product_id": str(product.id), "counted": counted, **values}


def test_a_count_sets_what_is_on_hand(staff: APIClient, products: list[Product]) -> None:
    response = count(
        staff,
        of(products[0], 7, expected_on_hand=10),
        of(products[1], 10),
        {"sku": "P-2", "counted": 0},
    )

    assert response.status_code == 201, response.content
    shown = response.json()
    assert shown["location"] == "main"
    assert [
        (i["sku"], i["counted"], i["expected_on_hand"], i["on_hand_delta"]) for i in shown["items"]
    ] == [("P-0", 7, 10, -3), ("P-1", 10, None, 0), ("P-2", 0, None, -10)]
    assert [on_hand(product) for product in products] == [7, 10, 0]
    counted = StockMovement.objects.filter(kind="adjust").order_by("id")
    assert [(m.product.sku, m.on_hand_delta, m.reason, m.note) for m in counted] == [
        ("P-0", -3, "counted", "C-1"),
        ("P-2", -10, "counted", "C-1"),
    ]
    assert staff.get(response["Location"]).json() == shown
    assert [each["reference"] for each in staff.get(COUNTS).json()["results"]] == ["C-1"]
    assert violations() == []


def test_a_count_at_another_location_creates_its_levels(
    staff: APIClient, products: list[Product]
) -> None:
    make_location(code="store")

    response = count(staff, of(products[0], 4, expected_on_hand=0), location="store")

    assert response.status_code == 201
    assert (on_hand(products[0]), on_hand(products[0], "store")) == (10, 4)


def test_a_count_below_what_is_reserved_makes_the_latest_order_wait(staff: APIClient) -> None:
    product = make_product(stock=5)
    first, second = place((product, 2)), place((product, 3))

    response = count(staff, of(product, 3, expected_on_hand=5))

    assert response.status_code == 201, response.content
    holdings = holdings_of([first.id, second.id])
    held = [(holdings[order.id].reserved_of(product.id)) for order in (first, second)]
    waiting = [(holdings[order.id].waiting_of(product.id)) for order in (first, second)]
    assert (held, waiting) == ([2, 1], [0, 2])
    assert on_hand(product) == 3
    assert violations() == []


def test_every_line_with_other_stock_than_expected_is_named_and_nothing_is_booked(
    staff: APIClient, products: list[Product]
) -> None:
    before = stock_state()

    response = count(
        staff,
        of(products[0], 7, expected_on_hand=9),
        of(products[1], 7, expected_on_hand=10),
        of(products[2], 7, expected_on_hand=11),
    )

    assert (response.status_code, response.json()["code"]) == (409, "stock_conflict")
    assert [(e["pointer"], e["on_hand"]) for e in response.json()["errors"]] == [
        ("/items/0/expected_on_hand", 10),
        ("/items/2/expected_on_hand", 10),
    ]
    assert stock_state() == before


def test_the_same_reference_returns_the_first_answer_and_other_content_is_a_conflict(
    staff: APIClient, products: list[Product]
) -> None:
    first = count(staff, of(products[0], 7, expected_on_hand=10))
    before = stock_state()

    assert count(staff, of(products[0], 7, expected_on_hand=10)).json() == first.json()
    for other in (of(products[0], 8, expected_on_hand=10), of(products[0], 7)):
        response = count(staff, other)
        assert (response.status_code, response.json()["code"]) == (409, "reference_taken")
    assert stock_state() == before


@pytest.mark.parametrize(
    ("item", "pointer", "code"),
    [
        ({"counted": -1}, "/items/0/counted", "min_value"),
        ({"counted": 2_000_000_001}, "/items/0/counted", "max_value"),
        ({"counted": 1, "expected_on_hand": -1}, "/items/0/expected_on_hand", "min_value"),
        ({"quantity": 1}, "/items/0/counted", "required"),
    ],
)
def test_invalid_input_is_rejected_by_field(
    staff: APIClient, products: list[Product], item: dict[str, Any], pointer: str, code: str
) -> None:
    before = stock_state()

    response = count(staff, {"sku": "P-0", **item})

    assert response.status_code == 400, response.content
    assert (pointer, code) in [(e["pointer"], e["code"]) for e in response.json()["errors"]]
    assert stock_state() == before


def statements_of(number: int) -> int:
    lines = [StockLine(product_id=make_product().id, quantity=2) for _ in range(number)]
    with CaptureQueriesContext(connection) as captured:
        count_stock(actor=system("tests"), reference=f"C-{number}", lines=lines)
    return len(captured)


def test_the_number_of_statements_does_not_depend_on_the_lines() -> None:
    assert statements_of(2) == statements_of(60)
