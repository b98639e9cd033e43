"""POST /orders/bulk."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings
from rest_framework.test import APIClient

from oms.core.ids import new_id
from oms.http.rate_limits import Limit, count
from oms.testing.factories import api_client, make_customer, make_product
from oms.testing.ordering import ADDRESS, stock_of
from oms.users.models import User
from orders.models import Order
from orders.tests.test_api_placing import SHOWN, body, faults

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("both_fronts")]

URL = "/api/v1/orders"
BULK = "/api/v1/orders/bulk"


@pytest.fixture
def client() -> APIClient:
    return api_client(make_customer())


def test_bulk_answers_each_order_in_the_order_of_the_request(client: APIClient) -> None:
    mug = make_product(stock=3)
    unknown = {**body(), "items": [{"product_id": str(new_id()), "quantity": 1}]}

    response = client.post(
        BULK, {"orders": [body((mug, 2)), body((mug, 2)), unknown, body((mug, 1))]}
    )

    assert response.status_code == 207
    results = response.json()["results"]
    assert [result["status"] for result in results] == [201, 409, 400, 201]
    assert set(results[0]["order"]) == SHOWN
    short = results[1]["problem"]
    assert (short["code"], short["status"]) == ("out_of_stock", 409)
    assert short["errors"][0]["pointer"] == "/items/0/quantity"
    assert results[2]["problem"]["errors"][0]["pointer"] == "/items/0/product_id"
    assert stock_of(mug) == (3, 3)
    ids = [result["order"]["id"] for result in results if result["status"] == 201]
    assert [order["id"] for order in client.get(URL).json()["results"]] == ids[::-1]


def test_bulk_that_rejects_all_places_none(client: APIClient) -> None:
    mug = make_product(stock=3)

    response = client.post(
        BULK,
        {"orders": [body((mug, 2)), body((mug, 2))], "on_error": "reject_all"},
        headers={"Idempotency-Key": "bulk"},
    )

    assert response.status_code == 207
    assert [
        (result["status"], result["problem"]["code"]) for result in response.json()["results"]
    ] == [(409, "rejected_with_others"), (409, "out_of_stock")]
    assert not Order.objects.exists()
    assert stock_of(mug) == (3, 0)


def test_an_order_with_invalid_content_is_refused_by_itself(client: APIClient) -> None:
    mug = make_product(stock=10)
    bad_address = {**body((mug, 1)), "shipping_address": {**ADDRESS, "country": "XX"}}
    twice = {**body((mug, 1), (mug, 1)), "colour": "red"}

    response = client.post(
        BULK, {"orders": [body((mug, 2)), body(), bad_address, twice, "x", None, body((mug, 1))]}
    )

    assert response.status_code == 207
    results = response.json()["results"]
    assert [result["status"] for result in results] == [201, 400, 400, 400, 400, 400, 201]
    problems = [result["problem"] for result in results if "problem" in result]
    assert {problem["code"] for problem in problems} == {"invalid"}
    assert {problem["instance"] for problem in problems} == {BULK}
    assert [{error["pointer"] for error in problem["errors"]} for problem in problems] == [
        {"/items"},
        {"/shipping_address/country"},
        {"/items/1/product_id", "/colour"},
        {""},
        {""},
    ]
    assert stock_of(mug) == (10, 3)


def test_a_bulk_that_rejects_all_rejects_valid_orders_beside_an_invalid_one(
    client: APIClient,
) -> None:
    mug = make_product(stock=3)

    response = client.post(BULK, {"orders": [body((mug, 1)), body()], "on_error": "reject_all"})

    assert [
        (result["status"], result["problem"]["code"]) for result in response.json()["results"]
    ] == [(409, "rejected_with_others"), (400, "invalid")]
    assert not Order.objects.exists()
    assert stock_of(mug) == (3, 0)


def test_invalid_orders_count_against_the_limit_too(client: APIClient, settings: Settings) -> None:
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "place_user": "10/hour"}
    mug = make_product()

    accepted = client.post(BULK, {"orders": [body((mug, 1)), *[body()] * 5]})
    refused = client.post(BULK, {"orders": [body((mug, 1)), *[body()] * 5]})

    assert (accepted.status_code, refused.status_code) == (207, 429)
    assert Order.objects.count() == 1


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"orders": []}, "/orders"),
        ({"on_error": "ignore"}, "/on_error"),
        ({"colour": "red"}, "/colour"),
    ],
)
def test_a_malformed_bulk_is_refused_as_a_whole(
    client: APIClient, change: dict[str, Any], place: str
) -> None:
    response = client.post(BULK, {"orders": [body((make_product(), 1))], **change})

    assert response.status_code == 400
    assert [pointer for pointer, _ in faults(response)] == [place]
    assert not Order.objects.exists()


def test_bulk_takes_as_many_statements_for_forty_orders_as_for_one(client: APIClient) -> None:
    mug = make_product(stock=100)
    counts = []

    for orders in (1, 40):
        with CaptureQueriesContext(connection) as statements:
            response = client.post(BULK, {"orders": [body((mug, 1))] * orders})
        assert {result["status"] for result in response.json()["results"]} == {201}
        counts.append(len(statements))

    assert counts[0] == counts[1]


def test_each_order_of_a_bulk_counts_as_one_request(client: APIClient, settings: Settings) -> None:
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "place_user": "50/hour"}
    mug = make_product(stock=1_000)

    def remaining(orders: int, *, key: str = "") -> tuple[int, str]:
        headers = {"Idempotency-Key": key} if key else {}
        response = client.post(BULK, {"orders": [body((mug, 1))] * orders}, headers=headers)
        [left] = re.findall(r"r=([0-9]+)", response["RateLimit"])
        return response.status_code, left

    assert remaining(20, key="k") == (207, "30")
    assert remaining(1) == (207, "29")
    # More than is left: nothing is done, and the request itself counts as one.
    assert remaining(30) == (429, "28")
    assert Order.objects.count() == 21
    assert remaining(28) == (207, "0")
    assert Order.objects.count() == 49


def test_the_repeated_answer_to_a_bulk_counts_as_one_request(
    client: APIClient, settings: Settings
) -> None:
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "place_user": "50/hour"}
    mug = make_product(stock=1_000)
    for _ in range(2):
        response = client.post(
            BULK, {"orders": [body((mug, 1))] * 20}, headers={"Idempotency-Key": "k"}
        )
        assert response.status_code == 207

    assert Order.objects.count() == 20
    [state] = count([Limit(name="place_user", subject=str(User.objects.get().pk))])
    assert state.remaining == 50 - 20 - 1 - 1


def test_a_bulk_is_repeated_however_little_of_the_limit_is_left(
    client: APIClient, settings: Settings
) -> None:
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "place_user": "50/hour"}
    document = {"orders": [body((make_product(stock=1_000), 1))] * 40}
    once = client.post(BULK, document, headers={"Idempotency-Key": "k"})

    again = client.post(BULK, document, headers={"Idempotency-Key": "k"})
    another = client.post(BULK, document, headers={"Idempotency-Key": "another"})

    assert (again.status_code, again.content) == (207, once.content)
    assert again["Idempotent-Replayed"] == "true"
    assert another.status_code == 429
    assert Order.objects.count() == 40


def test_a_bulk_that_its_key_refuses_counts_as_one_request(
    client: APIClient, settings: Settings
) -> None:
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "place_user": "50/hour"}
    mug, key = make_product(stock=1_000), {"Idempotency-Key": "k"}
    client.post(BULK, {"orders": [body((mug, 1))] * 20}, headers=key)

    response = client.post(BULK, {"orders": [body((mug, 2))] * 20}, headers=key)

    assert response.status_code == 422
    [state] = count([Limit(name="place_user", subject=str(User.objects.get().pk))])
    assert state.remaining == 50 - 20 - 1 - 1
