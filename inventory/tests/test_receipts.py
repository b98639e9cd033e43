"""Receipts: deliveries of many products."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from inventory.holdings import holdings_of
from inventory.models import Product, StockDocument, StockLevel, StockMovement
from inventory.operations import receiving
from inventory.operations.documents import StockLine
from inventory.operations.receiving import (
    book_unfinished_receipts,
    receive_stock,
)
from inventory.tests.stock_documents import RECEIPTS, on_hand, stock_state, violations
from oms.core.actor import system
from oms.core.ids import new_id
from oms.events.models import Event
from oms.testing.factories import (
    api_client,
    make_customer,
    make_location,
    make_product,
    make_staff,
)
from oms.testing.ordering import place
from orders.models import Order

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff() -> APIClient:
    return api_client(make_staff(email="sam@example.com"))


@pytest.fixture
def products() -> list[Product]:
    return [make_product(stock=0, sku=f"P-{number}") for number in range(3)]


def body(*items: dict[str, Any], **values: Any) -> dict[str, Any]:
    return {"reference": "DN-1", "items": list(items), **values}


def of(product: Product, quantity: int) -> dict[str, Any]:
    return {"product_id": str(product.id), "quantity": quantity}


def test_a_receipt_books_each_item_by_id_or_sku(staff: APIClient, products: list[Product]) -> None:
    items = [of(products[0], 5), {"sku": "p-1", "quantity": 7}]

    response = staff.post(RECEIPTS, body(*items))

    assert response.status_code == 201, response.content
    document = StockDocument.objects.get()
    assert response.json() == {
        "id": str(document.id),
        "reference": "DN-1",
        "location": "main",
        "items_total": 2,
        "items_booked": 2,
        "completed_at": response.json()["created_at"],
        "actor": "sam@example.com",
        "actor_id": str(document.actor_id),
        "created_at": document.created_at.isoformat().replace("+00:00", "Z"),
        "items": [
            {
                "product_id": str(products[0].id),
                "sku": "P-0",
                "quantity": 5,
                "is_booked": True,
            },
            {
                "product_id": str(products[1].id),
                "sku": "P-1",
                "quantity": 7,
                "is_booked": True,
            },
        ],
    }
    assert response["Location"] == f"{RECEIPTS}/{document.id}"
    assert staff.get(response["Location"]).json() == response.json()
    assert [on_hand(product) for product in products] == [5, 7, 0]
    movement = StockMovement.objects.get(product=products[0])
    assert (movement.kind, movement.on_hand_delta, movement.on_hand_after) == ("receive", 5, 5)
    assert (movement.reference, movement.note) == (f"receipt:{document.id}", "DN-1")
    assert (movement.actor_label, movement.reason) == ("sam@example.com", "received")
    event = Event.objects.get(type="stock_document.created")
    assert (event.object_id, event.data["kind"], event.data["items"]) == (
        document.id,
        "receipt",
        2,
    )
    adjusted = Event.objects.filter(type="product.stock_adjusted", object_id=products[0].id)
    assert adjusted.get().data["movement_id"] == str(movement.id)
    assert violations() == []


def test_a_receipt_at_another_location_creates_its_levels(
    staff: APIClient, products: list[Product]
) -> None:
    make_location(code="store")

    response = staff.post(RECEIPTS, body(of(products[0], 5), location="store"))

    assert (response.status_code, response.json()["location"]) == (201, "store")
    level = StockLevel.objects.get(product=products[0], location__code="store")
    assert level.on_hand == 5
    assert on_hand(products[0]) == 0


def test_the_same_reference_returns_the_first_answer(
    staff: APIClient, products: list[Product]
) -> None:
    first = staff.post(RECEIPTS, body(of(products[0], 5), of(products[1], 7)))
    before = stock_state()

    # Another order of the lines, and names of products, are the same content.
    again = staff.post(RECEIPTS, body(of(products[1], 7), {"sku": "P-0", "quantity": 5}))

    assert (again.status_code, again.json()) == (201, first.json())
    assert stock_state() == before


@pytest.mark.parametrize("change", ["quantity", "product", "location", "more"])
def test_the_same_reference_with_other_content_is_a_conflict(
    staff: APIClient, products: list[Product], change: str
) -> None:
    make_location(code="store")
    staff.post(RECEIPTS, body(of(products[0], 5)))
    before = stock_state()
    other = {
        "quantity": body(of(products[0], 6)),
        "product": body(of(products[1], 5)),
        "location": body(of(products[0], 5), location="store"),
        "more": body(of(products[0], 5), of(products[1], 1)),
    }[change]

    response = staff.post(RECEIPTS, other)

    assert (response.status_code, response.json()["code"]) == (409, "reference_taken")
    assert stock_state() == before


def test_every_bad_line_is_named_and_nothing_is_booked(
    staff: APIClient, products: list[Product]
) -> None:
    before = stock_state()
    items = [
        of(products[0], 5),
        {"sku": "NOWHERE", "quantity": 1},
        {"product_id": str(new_id()), "quantity": 1},
        {"sku": "P-0", "quantity": 1},
    ]

    response = staff.post(RECEIPTS, body(*items, location="nowhere"))

    assert response.status_code == 400
    assert [(e["pointer"], e["code"]) for e in response.json()["errors"]] == [
        ("/location", "not_found"),
        ("/items/1/sku", "not_found"),
        ("/items/2/product_id", "not_found"),
        ("/items/3/sku", "duplicate"),
    ]
    assert stock_state() == before


def test_a_thousand_bad_lines_are_named(staff: APIClient) -> None:
    items = [{"product_id": str(new_id()), "quantity": 2_000_000_000} for _ in range(1_000)]

    response = staff.post(RECEIPTS, body(*items))

    assert response.status_code == 400, response.content
    assert len(response.json()["errors"]) == 1_000


@pytest.mark.parametrize(
    ("values", "pointer", "code"),
    [
        ({"reference": None}, "/reference", "required"),
        ({"reference": ""}, "/reference", "blank"),
        ({"reference": "x" * 65}, "/reference", "max_length"),
        ({"items": []}, "/items", "min_length"),
        ({"items": [{"sku": "P-0", "quantity": 1}] * 1001}, "/items", "max_length"),
        ({"items": [{"quantity": 1}]}, "/items/0/product_id", "required"),
        ({"items": [{"sku": "P-0", "quantity": 0}]}, "/items/0/quantity", "min_value"),
        ({"items": [{"sku": "P-0", "quantity": "1"}]}, "/items/0/quantity", "invalid"),
        ({"items": [{"sku": "P-0"}]}, "/items/0/quantity", "required"),
        ({"items": [{"sku": "P-0", "counted": 1}]}, "/items/0/counted", "unknown_field"),
        ({"note": "x"}, "/note", "unknown_field"),
    ],
)
def test_invalid_input_is_rejected_by_field(
    staff: APIClient, products: list[Product], values: dict[str, Any], pointer: str, code: str
) -> None:
    before = stock_state()

    content = {**body(of(products[0], 5)), **values}
    response = staff.post(RECEIPTS, {k: v for k, v in content.items() if v is not None})

    assert response.status_code == 400, response.content
    assert (pointer, code) in [(e["pointer"], e["code"]) for e in response.json()["errors"]]
    assert stock_state() == before


def test_both_names_of_a_product_are_one_too_many(
    staff: APIClient, products: list[Product]
) -> None:
    response = staff.post(RECEIPTS, body({**of(products[0], 5), "sku": "P-0"}))

    [error] = response.json()["errors"]
    assert (error["pointer"], error["code"]) == ("/items/0/product_id", "exclusive")


def test_more_than_can_be_on_hand_is_a_conflict_by_line(
    staff: APIClient, products: list[Product]
) -> None:
    staff.post(RECEIPTS, body(of(products[1], 1)))
    before = stock_state()

    items = [of(products[0], 5), of(products[1], 2_000_000_000)]
    response = staff.post(RECEIPTS, body(*items, reference="DN-2"))

    assert (response.status_code, response.json()["code"]) == (409, "stock_conflict")
    [error] = response.json()["errors"]
    assert (error["pointer"], error["on_hand"]) == ("/items/1/quantity", 1)
    assert stock_state() == before


def lines(number: int) -> list[StockLine]:
    return [
        StockLine(product_id=make_product(stock=0).id, quantity=position + 1)
        for position in range(number)
    ]


def statements_of(reference: str, content: list[StockLine]) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        receive_stock(actor=system("tests"), reference=reference, lines=content)
    return [query["sql"] for query in captured.captured_queries]


def test_the_number_of_statements_does_not_depend_on_the_lines() -> None:
    few, many = lines(2), lines(40)

    assert len(statements_of("DN-1", few)) == len(statements_of("DN-2", many))


def test_each_chunk_takes_the_same_number_of_statements(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiving, "CHUNK", 10)
    one, three, five = (len(statements_of(f"DN-{n}", lines(n * 10))) for n in (1, 3, 5))

    assert five - three == three - one
    assert violations() == []


def held_by(order: Order, product: Product) -> tuple[int, int]:
    """What the order has of the product: reserved, and waiting."""
    holdings = holdings_of([order.id])[order.id]
    return holdings.reserved_of(product.id), holdings.waiting_of(product.id)


def test_a_receipt_serves_the_orders_that_wait_oldest_first(staff: APIClient) -> None:
    product = make_product(stock=1, sku="LAMP", backorderable=True)
    make_location(code="store")
    orders = [place((product, quantity)) for quantity in (3, 2, 2)]
    assert [held_by(order, product) for order in orders] == [(1, 2), (0, 2), (0, 2)]

    staff.post(RECEIPTS, body(of(product, 3), location="store"))

    assert [held_by(order, product) for order in orders] == [(3, 0), (1, 1), (0, 2)]
    shown = staff.get(f"/api/v1/admin/inventory/{product.id}/availability").json()
    assert (shown["on_hand"], shown["reserved"], shown["available"]) == (4, 4, 0)
    assert [(row["order_id"], row["quantity"]) for row in shown["queue"]] == [
        (str(orders[1].id), 1),
        (str(orders[2].id), 2),
    ]
    assert shown["waiting"] == 3
    assert violations() == []


def test_the_number_of_statements_does_not_depend_on_the_orders_that_wait() -> None:
    customer = make_customer()

    def waited_for(orders: int) -> list[StockLine]:
        products = [make_product(stock=0, backorderable=True) for _ in range(4)]
        for _ in range(orders):
            place(*((product, 1) for product in products), customer=customer)
        return [StockLine(product_id=product.id, quantity=50) for product in products]

    few, many = waited_for(1), waited_for(12)

    assert len(statements_of("DN-1", few)) == len(statements_of("DN-2", many))


def test_a_dry_run_shows_what_would_move_and_does_nothing(
    staff: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiving, "CHUNK", 2)
    products = [make_product(stock=0) for _ in range(5)]
    before = stock_state()

    content = body(*(of(product, 4) for product in products))
    response = staff.post(f"{RECEIPTS}?dry_run=true", content)

    assert response.status_code == 200, response.content
    shown = response.json()
    assert sorted(move["product_id"] for move in shown["stock"]) == sorted(
        str(product.id) for product in products
    )
    assert {(move["location"], move["on_hand_delta"]) for move in shown["stock"]} == {("main", 4)}
    assert (shown["money"], shown["items_booked"], "id" in shown) == (None, 5, False)
    assert stock_state() == before
    assert staff.post(RECEIPTS, content).status_code == 201


def test_receipts_are_listed_newest_first_and_filtered(
    staff: APIClient, products: list[Product]
) -> None:
    make_location(code="store")
    for number, location in enumerate(("main", "store", "main")):
        items = [of(products[number], 1)]
        staff.post(RECEIPTS, body(*items, reference=f"DN-{number}", location=location))
    created = [document.created_at for document in StockDocument.objects.order_by("pk")]

    def found(**query: Any) -> list[str]:
        response = staff.get(RECEIPTS, query)
        assert response.status_code == 200, response.content
        return [document["reference"] for document in response.json()["results"]]

    assert found() == ["DN-2", "DN-1", "DN-0"]
    assert found(reference="DN-1") == ["DN-1"]
    assert found(location="store") == ["DN-1"]
    assert found(product_id=products[2].id) == ["DN-2"]
    assert found(created_at__gte=created[1].isoformat()) == ["DN-2", "DN-1"]
    assert found(created_at__lt=created[1].isoformat()) == ["DN-0"]
    page = staff.get(RECEIPTS, {"page_size": 2}).json()
    assert "items" not in page["results"][0]
    [last] = staff.get(page["next"]).json()["results"]
    assert last["reference"] == "DN-0"
    assert staff.get(RECEIPTS, {"sku": "P-0"}).status_code == 400


def test_a_receipt_is_not_found_among_counts(staff: APIClient, products: list[Product]) -> None:
    id = staff.post(RECEIPTS, body(of(products[0], 1))).json()["id"]

    assert staff.get(f"/api/v1/admin/inventory/counts/{id}").status_code == 404
    assert staff.get(f"{RECEIPTS}/{new_id()}").status_code == 404


def test_a_large_receipt_is_shown_with_few_statements(staff: APIClient) -> None:
    document = receive_stock(actor=system("tests"), reference="DN-1", lines=lines(120))

    with CaptureQueriesContext(connection) as captured:
        shown = staff.get(f"{RECEIPTS}/{document.id}").json()

    assert len(shown["items"]) == 120
    assert len(captured) == 4  # who asks, the receipt, its items, their products


def test_with_an_idempotency_key_the_first_items_are_booked_and_the_rest_in_the_background(
    staff: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiving, "CHUNK", 10)
    items = [{"product_id": str(line.product_id), "quantity": line.quantity} for line in lines(15)]

    first = staff.post(RECEIPTS, body(*items), headers={"Idempotency-Key": "one"})

    assert first.status_code == 201, first.content
    assert (first.json()["items_booked"], first.json()["completed_at"]) == (10, None)
    assert book_unfinished_receipts(failed=set()) == 1
    id = first.json()["id"]
    assert staff.get(f"{RECEIPTS}/{id}").json()["items_booked"] == 15
    again = staff.post(RECEIPTS, body(*items), headers={"Idempotency-Key": "one"})
    assert again["Idempotent-Replayed"] == "true"
    assert violations() == []
