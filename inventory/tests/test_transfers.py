"""Transfers of many products between locations."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from inventory.holdings import holdings_of
from inventory.models import Product, StockLevel, StockMovement
from inventory.operations.documents import StockLine
from inventory.operations.transferring import transfer_stock
from inventory.tests.stock_documents import TRANSFERS, on_hand, stock_state, violations
from oms.core.actor import system
from oms.events.models import Event
from oms.testing.factories import api_client, make_location, make_product, make_staff
from oms.testing.ordering import place

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff() -> APIClient:
    make_location(code="store")
    return api_client(make_staff(email="sam@example.com"))


@pytest.fixture
def products() -> list[Product]:
    return [make_product(stock=10, sku=f"P-{number}") for number in range(3)]


def transfer(client: APIClient, *items: dict[str, Any], **values: Any) -> Any:
    body = {"reference": "TR-1", "from": "main", "to": "store", "items": list(items), **values}
    return client.post(TRANSFERS, {k: v for k, v in body.items() if v is not None})


def of(product: Product, quantity: int) -> dict[str, Any]:
    return {"product_id": str(product.id), "quantity": quantity}


def test_a_transfer_moves_each_item(staff: APIClient, products: list[Product]) -> None:
    last = Event.objects.latest("position")

    response = transfer(staff, of(products[0], 4), {"sku": "p-1", "quantity": 10})

    assert response.status_code == 201, response.content
    shown = response.json()
    assert (shown["from"], shown["to"], shown["items_total"]) == ("main", "store", 2)
    assert shown["items"] == [
        {"product_id": str(products[0].id), "sku": "P-0", "quantity": 4},
        {"product_id": str(products[1].id), "sku": "P-1", "quantity": 10},
    ]
    assert [(on_hand(p), on_hand(p, "store")) for p in products] == [(6, 4), (0, 10), (10, 0)]
    moved = StockMovement.objects.filter(product=products[0], kind="transfer").order_by("id")
    assert [(m.location.code, m.on_hand_delta, m.on_hand_after) for m in moved] == [
        ("main", -4, 6),
        ("store", 4, 4),
    ]
    [event, *others] = Event.objects.filter(position__gt=last.position).order_by("position")
    assert event.type == "stock_document.created"
    assert [(e.type, e.data["location"], e.data["on_hand_delta"]) for e in others] == [
        ("product.stock_adjusted", "main", -4),
        ("product.stock_adjusted", "store", 4),
        ("product.stock_adjusted", "main", -10),
        ("product.stock_adjusted", "store", 10),
    ]
    assert (event.data["from_location"], event.data["location"]) == ("main", "store")
    assert staff.get(response["Location"]).json() == shown
    [listed] = staff.get(TRANSFERS).json()["results"]
    assert listed == {name: value for name, value in shown.items() if name != "items"}
    assert violations() == []


def test_every_line_that_is_more_than_on_hand_is_named_and_nothing_is_booked(
    staff: APIClient, products: list[Product]
) -> None:
    before = stock_state()

    response = transfer(staff, of(products[0], 11), of(products[1], 1), of(products[2], 12))

    assert (response.status_code, response.json()["code"]) == (409, "stock_conflict")
    errors = response.json()["errors"]
    assert [(e["pointer"], e["requested"], e["on_hand"]) for e in errors] == [
        ("/items/0/quantity", 11, 10),
        ("/items/2/quantity", 12, 10),
    ]
    assert (errors[0]["sku"], errors[0]["code"]) == ("P-0", "not_on_hand")
    assert stock_state() == before
    # The reference is still free.
    assert transfer(staff, of(products[0], 1)).status_code == 201


def test_a_location_without_the_product_has_none_of_it(
    staff: APIClient, products: list[Product]
) -> None:
    response = transfer(staff, of(products[0], 1), **{"from": "store", "to": "main"})

    assert response.status_code == 409
    assert response.json()["errors"][0]["on_hand"] == 0


def test_the_same_reference_returns_the_first_answer_and_other_content_is_a_conflict(
    staff: APIClient, products: list[Product]
) -> None:
    first = transfer(staff, of(products[0], 4))
    before = stock_state()

    assert transfer(staff, of(products[0], 4)).json() == first.json()
    for other in (
        transfer(staff, of(products[0], 5)),
        transfer(staff, of(products[0], 4), **{"from": "store", "to": "main"}),
    ):
        assert (other.status_code, other.json()["code"]) == (409, "reference_taken")
    assert stock_state() == before


def test_reserved_quantities_are_transferred_and_their_allocations_move(staff: APIClient) -> None:
    product = make_product(stock=5)
    first, second = place((product, 2)), place((product, 2))

    assert transfer(staff, of(product, 3)).status_code == 201

    levels = StockLevel.objects.filter(product=product).order_by("location__code")
    assert [(level.location.code, level.on_hand, level.reserved) for level in levels] == [
        ("main", 2, 2),
        ("store", 3, 2),
    ]
    holdings = holdings_of([first.id, second.id])
    # The latest order's allocation moves first.
    assert [sorted(holdings[order.id].reserved.values()) for order in (first, second)] == [[2], [2]]
    assert (product.id, levels[0].location_id) in holdings[first.id].reserved
    assert not Event.objects.filter(type="product.stock_lost").exists()
    assert violations() == []


def test_a_dry_run_shows_what_would_move_and_does_nothing(
    staff: APIClient, products: list[Product]
) -> None:
    before = stock_state()
    items = [of(products[0], 4)]
    content = {"reference": "TR-1", "from": "main", "to": "store", "items": items}

    response = staff.post(f"{TRANSFERS}?dry_run=true", content)

    assert response.status_code == 200, response.content
    moves = response.json()["stock"]
    assert [(move["location"], move["on_hand_delta"]) for move in moves] == [
        ("main", -4),
        ("store", 4),
    ]
    assert stock_state() == before
    refused = staff.post(f"{TRANSFERS}?dry_run=true", {**content, "items": [of(products[0], 11)]})
    assert refused.status_code == 409


@pytest.mark.parametrize(
    ("values", "pointer", "code"),
    [
        ({"from": "nowhere"}, "/from", "not_found"),
        ({"to": "nowhere"}, "/to", "not_found"),
        ({"to": "main"}, "/to", "same_location"),
        ({"from": None}, "/from", "required"),
        ({"to": None}, "/to", "required"),
        ({"location": "main"}, "/location", "unknown_field"),
    ],
)
def test_invalid_input_is_rejected_by_field(
    staff: APIClient, products: list[Product], values: dict[str, Any], pointer: str, code: str
) -> None:
    before = stock_state()

    response = transfer(staff, of(products[0], 1), **values)

    assert response.status_code == 400, response.content
    [error] = response.json()["errors"]
    assert (error["pointer"], error["code"]) == (pointer, code)
    assert stock_state() == before


def statements_of(number: int) -> int:
    lines = [StockLine(product_id=make_product().id, quantity=2) for _ in range(number)]
    with CaptureQueriesContext(connection) as captured:
        transfer_stock(
            actor=system("tests"),
            reference=f"TR-{number}",
            lines=lines,
            from_location="main",
            to="store",
        )
    return len(captured)


def test_the_number_of_statements_does_not_depend_on_the_lines(staff: APIClient) -> None:
    assert statements_of(2) == statements_of(60)
