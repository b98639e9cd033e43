"""`dry_run=true`: what would happen, of which nothing is done."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from pytest_django.fixtures import Settings
from rest_framework.test import APIClient

from oms.events.models import Event
from oms.http.models import IdempotencyRecord
from oms.testing.factories import (
    api_client,
    make_location,
    make_product,
    make_staff,
)
from oms.testing.ordering import paid_order, place, stock_of
from oms.tests.attacks.shop import database_digest
from oms.users.models import User
from orders.models import Order
from orders.tests.test_api_placing import body, faults
from payments.models import Payment, Refund

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("both_fronts")]

URL = "/api/v1/orders"
DRY = "?dry_run=true"


def moved(response: Any) -> list[tuple[str, str, int, int]]:
    return [
        (one["product_id"], one["location"], one["on_hand_delta"], one["reserved_delta"])
        for one in response.json()["stock"]
    ]


def test_metadata_is_shown_whatever_its_members_are_called(client: APIClient) -> None:
    metadata = {"id": "7", "number": "A-1", "refund_id": "none", "channel": "app"}

    response = client.post(URL + DRY, body((make_product(), 1), metadata=metadata))

    assert response.status_code == 200
    assert response.json()["metadata"] == metadata
    assert "id" not in response.json()


def test_placing_shows_the_order_and_does_nothing(client: APIClient) -> None:
    mug = make_product(price=Decimal("19.90"))
    content = body((mug, 3), payment={"provider": "sandbox", "token": "tok_success"})
    before = database_digest()

    response = client.post(URL + DRY, content, headers={"Idempotency-Key": "k"})

    assert response.status_code == 200
    assert "Location" not in response
    assert "ETag" not in response
    shown = response.json()
    assert (shown["total"], shown["payment_status"]) == ("59.70", "processing")
    assert not {"id", "number"} & (shown.keys() | shown["items"][0].keys())
    assert moved(response) == [(str(mug.id), "main", 0, 3)]
    assert shown["money"] == {"currency": "EUR", "total_delta": "59.70", "refund": "0.00"}
    assert database_digest() == before
    assert not Order.objects.exists()
    assert not Payment.objects.exists()
    assert not IdempotencyRecord.objects.exists()
    # The key is still free.
    done = client.post(URL, content, headers={"Idempotency-Key": "k"})
    assert done.status_code == 201
    assert "Idempotent-Replayed" not in done


def test_what_would_be_refused_is(client: APIClient) -> None:
    none = make_product(stock=0)

    short = client.post(URL + DRY, body((none, 1)))
    invalid = client.post(URL + DRY, body())
    anonymous = APIClient().post(URL + DRY, body((none, 1)))

    assert (short.status_code, short.json()["code"]) == (409, "out_of_stock")
    assert faults(invalid) == [("/items", "min_length")]
    assert anonymous.status_code == 401


def test_a_bulk_shows_each_order_and_all_of_the_stock(client: APIClient) -> None:
    mug = make_product(stock=5, price=Decimal("10.00"))

    response = client.post(
        f"{URL}/bulk{DRY}", {"orders": [body((mug, 2)), body((mug, 4)), body((mug, 3)), body()]}
    )

    assert response.status_code == 200
    results = response.json()["results"]
    assert [result["status"] for result in results] == [201, 409, 201, 400]
    assert "id" not in results[0]["order"]
    assert moved(response) == [(str(mug.id), "main", 0, 5)]
    assert response.json()["money"]["total_delta"] == "50.00"
    assert stock_of(mug) == (5, 0)


def test_money_of_several_currencies_is_not_added(client: APIClient) -> None:
    orders = [body((make_product(currency=code), 1)) for code in ("EUR", "USD")]

    response = client.post(f"{URL}/bulk{DRY}", {"orders": orders})

    assert response.json()["money"] is None
    assert [r["order"]["currency"] for r in response.json()["results"]] == ["EUR", "USD"]


def test_an_edit_shows_the_difference(customer: User, client: APIClient) -> None:
    mug, pot = make_product(price=Decimal("10.00")), make_product(price=Decimal("7.00"))
    order = place((mug, 3), customer=customer)
    before = database_digest()

    response = client.patch(
        f"{URL}/{order.id}{DRY}",
        {
            "items": [
                {"product_id": str(mug.id), "quantity": 1},
                {"product_id": str(pot.id), "quantity": 2},
            ]
        },
    )

    assert response.status_code == 200
    assert response.json()["total"] == "24.00"
    assert sorted(moved(response)) == sorted(
        [(str(mug.id), "main", 0, -2), (str(pot.id), "main", 0, 2)]
    )
    assert response.json()["money"]["total_delta"] == "-6.00"
    assert database_digest() == before


def test_cancelling_shows_the_refund(customer: User, client: APIClient) -> None:
    make_location(code="attic")
    mug = make_product(price=Decimal("10.00"))
    order = paid_order((mug, 3), customer=customer)
    before, events = database_digest(), Event.objects.count()

    response = client.put(f"{URL}/{order.id}/cancel{DRY}", {"reason": "Too many."})

    assert response.status_code == 200
    assert response.json()["status"] == "cancelled"
    assert moved(response) == [(str(mug.id), "main", 0, -3)]
    assert response.json()["money"] == {
        "currency": "EUR",
        "total_delta": "0.00",
        "refund": "30.00",
    }
    assert database_digest() == before
    assert Event.objects.count() == events
    assert not Refund.objects.exists()


def test_it_needs_the_same_permission(customer: User) -> None:
    order = paid_order((make_product(), 1), customer=customer)
    clerk = api_client(make_staff(permissions=["orders.view", "orders.cancel"]))

    response = clerk.put(f"{URL}/{order.id}/cancel{DRY}", {})

    assert (response.status_code, response.json()["permission"]) == (403, "payments.refund")


def test_a_stale_version_is_refused(customer: User, client: APIClient) -> None:
    order = place((make_product(), 1), customer=customer)

    response = client.put(f"{URL}/{order.id}/cancel{DRY}", {}, headers={"If-Match": '"v9"'})

    assert response.status_code == 412


def test_it_counts_as_a_read(client: APIClient, settings: Settings) -> None:
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "place_user": "2/hour"}
    mug = make_product(stock=100)

    many = {"orders": [body((mug, 1))] * 20}
    answers = [client.post(f"{URL}/bulk{DRY}", many) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200] * 3
    assert "general_user" in answers[0]["RateLimit-Policy"]
    assert [client.post(URL, body((mug, 1))).status_code for _ in range(3)] == [201, 201, 429]


@pytest.mark.parametrize("path", ["/api/v1/auth/token", "/admin/login/"])
def test_attempts_to_log_in_count_whatever_the_query_says(path: str, settings: Settings) -> None:
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "token_address": "2/hour"}
    login = {"email": "ada@example.com", "username": "ada@example.com", "password": "wrong"}

    statuses = [APIClient().post(path + DRY, login).status_code for _ in range(3)]

    assert 429 not in statuses[:2]
    assert statuses[2] == 429


@pytest.mark.parametrize("value", ["1", "TRUE", "yes", ""])
def test_other_values_are_refused(client: APIClient, value: str) -> None:
    response = client.post(f"{URL}?dry_run={value}", body((make_product(), 1)))

    assert response.status_code == 400
    assert response.json()["errors"][0]["parameter"] == "dry_run"
    assert not Order.objects.exists()


def test_false_is_as_if_it_was_not_given(client: APIClient) -> None:
    response = client.post(f"{URL}?dry_run=false", body((make_product(), 1)))

    assert response.status_code == 201
    assert Order.objects.count() == 1


def test_calls_without_a_dry_run_refuse_the_parameter(customer: User, client: APIClient) -> None:
    order = place((make_product(), 1), customer=customer)

    response = client.delete(f"{URL}/{order.id}{DRY}")

    assert response.status_code == 400
    assert response.json()["errors"][0]["code"] == "unknown_parameter"
    assert Order.objects.get().deleted_at is None
