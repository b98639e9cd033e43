"""POST /orders."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from unittest.mock import patch

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from inventory.models import Product
from oms.core.ids import new_id
from oms.testing.factories import api_client, make_customer, make_product
from oms.testing.ordering import ADDRESS, place, stock_of
from orders.api.outputs import OrderItemOutput, OrderOutput
from orders.models import Order
from orders.operations import placing
from payments.models import Payment

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("both_fronts")]

URL = "/api/v1/orders"
SHOWN = OrderOutput().fields.keys() - {"internal_note"}
"""The members of an order that its customer sees."""


@pytest.fixture
def client() -> APIClient:
    return api_client(make_customer())


def body(*lines: tuple[Product, int], **members: Any) -> dict[str, Any]:
    return {
        "items": [{"product_id": str(product.id), "quantity": n} for product, n in lines],
        "shipping_address": {k: v for k, v in ADDRESS.items() if v},
        **members,
    }


def faults(response: Any) -> list[tuple[str, str]]:
    assert response["Content-Type"] == "application/problem+json", response.content
    return [(error["pointer"], error["code"]) for error in response.json()["errors"]]


def test_placing_answers_the_whole_order_and_reading_it_answers_the_same(
    client: APIClient,
) -> None:
    mug = make_product(price=Decimal("19.90"))
    payment = {"provider": "sandbox", "token": "tok_success"}

    response = client.post(URL, body((mug, 3), payment=payment, note="Ring\ntwice."))

    assert response.status_code == 201
    order = response.json()
    assert response["ETag"] == '"v1"'
    assert response["Location"] == f"{URL}/{order['id']}"
    assert set(order) == SHOWN
    assert set(order["items"][0]) == set(OrderItemOutput().fields)
    assert (order["status"], order["payment_status"]) == ("pending", "processing")
    assert (order["total"], order["currency"]) == ("59.70", "EUR")
    assert order["items"][0]["line_total"] == "59.70"
    assert order["shipping_address"] == ADDRESS
    assert order["note"] == "Ring\ntwice."
    assert order["allowed_actions"] == ["cancel"]
    assert order["placed_at"].endswith("Z")
    assert client.get(response["Location"]).json() == order
    assert client.get(URL).json()["results"] == [order]
    assert Payment.objects.get(order_id=order["id"]).token == "tok_success"


def test_placing_takes_four_statements_and_one_for_authentication(
    client: APIClient, both_fronts: str
) -> None:
    products = [make_product() for _ in range(3)]
    content = body(
        *[(product, 1) for product in products],
        payment={"provider": "sandbox", "token": "tok_success"},
    )

    with CaptureQueriesContext(connection) as statements:
        response = client.post(URL, content)

    assert response.status_code == 201
    sql = [query["sql"] for query in statements]
    # BEGIN and COMMIT are SAVEPOINT and RELEASE here, inside the test's transaction.
    # The fast path also sets a lock timeout, because its whole batch waits for a lock.
    assert len(sql) == (5 if both_fronts == "django" else 6), "\n".join(sql)
    assert sum("users_user" in one and "SELECT" in one for one in sql) == 1


def test_an_unpaid_order_can_be_edited_paid_cancelled_and_deleted(client: APIClient) -> None:
    order = client.post(URL, body((make_product(), 1))).json()

    assert (order["payment_status"], order["note"]) == ("unpaid", "")
    assert order["allowed_actions"] == ["edit", "pay", "cancel", "delete"]


def test_anonymous_callers_cannot_order() -> None:
    response = APIClient().post(URL, body((make_product(), 1)))

    assert response.status_code == 401
    assert response.json()["code"] == "not_authenticated"


def test_short_stock_names_every_line(client: APIClient) -> None:
    few, none = make_product(stock=1), make_product(stock=0)

    response = client.post(URL, body((few, 2), (none, 1)))

    assert response.status_code == 409
    assert response.json()["code"] == "out_of_stock"
    assert response.json()["errors"] == [
        {
            "pointer": f"/items/{line}/quantity",
            "code": "out_of_stock",
            "detail": f"{asked} requested, {there} available.",
            "product_id": str(product.id),
            "sku": product.sku,
            "requested": asked,
            "available": there,
        }
        for line, (product, asked, there) in enumerate([(few, 2, 1), (none, 1, 0)])
    ]
    assert stock_of(few) == (1, 0)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"items": []}, [("/items", "min_length")]),
        ({"items": "many"}, [("/items", "not_a_list")]),
        ({"items": [7]}, [("/items/0", "invalid")]),
        ({"items": None}, [("/items", "null")]),
        ({"note": "x" * 1001}, [("/note", "max_length")]),
        ({"note": 7}, [("/note", "invalid")]),
        ({"shipping_address": {}}, None),
        ({"shipping_address": {**ADDRESS, "country": "XX"}}, "country"),
        ({"shipping_address": {**ADDRESS, "country": "de"}}, "country"),
        ({"shipping_address": {**ADDRESS, "planet": "Mars"}}, "planet"),
        ({"shipping_address": {**ADDRESS, "city": ""}}, "city"),
        (
            {"payment": {"provider": "paypal", "token": "x"}},
            [("/payment/provider", "invalid_choice")],
        ),
        ({"payment": {"provider": "sandbox"}}, [("/payment/token", "required")]),
        ({"payment": None}, [("/payment", "null")]),
        ({"status": "confirmed"}, [("/status", "unknown_field")]),
        ({"total": "0.01"}, [("/total", "unknown_field")]),
    ],
)
def test_bad_input_names_its_place_and_changes_nothing(
    client: APIClient, change: dict[str, Any], expected: Any
) -> None:
    mug = make_product()

    response = client.post(URL, {**body((mug, 1)), **change})

    assert response.status_code == 400
    found = faults(response)
    if isinstance(expected, str):
        assert [pointer for pointer, _ in found] == [f"/shipping_address/{expected}"]
    elif expected is None:
        assert {pointer for pointer, _ in found} == {
            f"/shipping_address/{name}"
            for name in ("name", "line1", "city", "postal_code", "country")
        }
    else:
        assert found == expected
    assert not Order.objects.exists()
    assert stock_of(mug) == (10, 0)


@pytest.mark.parametrize(
    ("quantity", "code"),
    [
        (0, "min_value"),
        (-1, "min_value"),
        (10_001, "max_value"),
        (10**30, "max_value"),
        ("1", "invalid"),
        (1.5, "invalid"),
        (True, "invalid"),
        (None, "null"),
    ],
)
def test_a_quantity_is_an_integer_from_one_to_ten_thousand(
    client: APIClient, quantity: Any, code: str
) -> None:
    line = {"product_id": str(make_product().id), "quantity": quantity}

    response = client.post(URL, {**body(), "items": [line]})

    assert response.status_code == 400
    assert faults(response) == [("/items/0/quantity", code)]


def test_a_product_in_two_lines_is_rejected(client: APIClient) -> None:
    mug, pot = make_product(), make_product()

    response = client.post(URL, body((mug, 1), (pot, 1), (mug, 2)))

    assert response.status_code == 400
    assert faults(response) == [("/items/2/product_id", "duplicate")]


def test_an_order_has_at_most_a_hundred_lines(client: APIClient) -> None:
    lines = [{"product_id": str(new_id()), "quantity": 1} for _ in range(101)]

    response = client.post(URL, {**body(), "items": lines})

    assert faults(response) == [("/items", "max_length")]


def test_an_unknown_product_is_an_input_error(client: APIClient) -> None:
    line = {"product_id": str(new_id()), "quantity": 1}

    response = client.post(URL, {**body(), "items": [line]})

    assert response.status_code == 400
    assert faults(response) == [("/items/0/product_id", "not_found")]


def test_the_same_key_places_one_order(client: APIClient) -> None:
    mug = make_product()
    content = body((mug, 2))

    first = client.post(URL, content, headers={"Idempotency-Key": "k1"})
    again = client.post(URL, content, headers={"Idempotency-Key": "k1"})
    other = client.post(URL, body((mug, 3)), headers={"Idempotency-Key": "k1"})

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    assert again["Idempotent-Replayed"] == "true"
    assert again["Location"] == first["Location"]
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert stock_of(mug) == (10, 2)


def test_a_refusal_under_a_key_is_kept_and_reserves_nothing(client: APIClient) -> None:
    mug = make_product(stock=1)
    content = body((mug, 2))

    first = client.post(URL, content, headers={"Idempotency-Key": "k1"})
    again = client.post(URL, content, headers={"Idempotency-Key": "k1"})

    assert (first.status_code, again.status_code) == (409, 409)
    assert again.content == first.content
    assert stock_of(mug) == (1, 0)


@pytest.mark.parametrize("key", ["", "k1"])
def test_a_duplicate_order_number_retries_the_whole_request(
    transactional_db: None, key: str
) -> None:
    mug, client = make_product(), api_client(make_customer())
    numbers = iter([place((mug, 1)).number, "20261121-FRESH1"])
    headers = {"Idempotency-Key": key} if key else {}

    with patch.object(placing, "order_number", lambda *, placed_at: next(numbers)):
        response = client.post(URL, body((mug, 1)), headers=headers)

    assert response.status_code == 201
    assert response.json()["number"] == "20261121-FRESH1"
    assert stock_of(mug) == (10, 2)
