"""A deadlock retries the whole request; a lock timeout is 503, never 500."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import pytest
from django.db import connection, transaction
from rest_framework.test import APIClient

from oms.events.publishing import publish, publish_all
from oms.testing.factories import make_product
from oms.testing.ordering import ADDRESS, outcomes_at_once, place, stock_of
from oms.users.models import User
from orders import locks
from orders.models import Order
from orders.operations import placing, transitions

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("both_fronts")]

KEYS = [{}, {"Idempotency-Key": "k1"}]


def deadlocking(work: Callable[..., Any], *, times: int) -> Callable[..., Any]:
    """`work`, but that PostgreSQL reports a deadlock after it the first `times`."""
    left = iter(range(times))

    def deadlock(*args: Any, **options: Any) -> Any:
        done = work(*args, **options)
        if next(left, None) is not None:
            with connection.cursor() as cursor:
                cursor.execute("DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '40P01'; END $$")
        return done

    return deadlock


def body(product_id: object) -> dict[str, Any]:
    return {
        "items": [{"product_id": str(product_id), "quantity": 2}],
        "shipping_address": {k: v for k, v in ADDRESS.items() if v},
    }


@pytest.mark.parametrize("headers", KEYS)
def test_placing_survives_two_deadlocks(client: APIClient, headers: dict[str, str]) -> None:
    mug = make_product()
    deadlock = deadlocking(publish_all, times=2)

    with patch.object(placing, "publish_all", deadlock):
        response = client.post("/api/v1/orders", body(mug.id), headers=headers)

    assert response.status_code == 201, response.content
    assert Order.objects.count() == 1
    assert stock_of(mug) == (10, 2)


@pytest.mark.parametrize("headers", KEYS)
def test_placing_that_deadlocks_again_and_again_is_busy_and_places_nothing(
    client: APIClient, headers: dict[str, str]
) -> None:
    mug = make_product()
    deadlock = deadlocking(publish_all, times=9)

    with patch.object(placing, "publish_all", deadlock):
        response = client.post("/api/v1/orders", body(mug.id), headers=headers)

    assert (response.status_code, response.json()["code"]) == (503, "busy")
    assert int(response["Retry-After"]) >= 1
    assert not Order.objects.exists()
    assert stock_of(mug) == (10, 0)
    assert client.post("/api/v1/orders", body(mug.id), headers=headers).status_code == 201


@pytest.mark.parametrize("headers", KEYS)
def test_cancelling_survives_a_deadlock(
    customer: User, client: APIClient, headers: dict[str, str]
) -> None:
    mug = make_product()
    order = place((mug, 2), customer=customer)

    with patch.object(transitions, "publish", deadlocking(publish, times=1)):
        response = client.put(f"/api/v1/orders/{order.id}/cancel", headers=headers)

    assert response.status_code == 200, response.content
    assert stock_of(mug) == (10, 0)
    order.refresh_from_db()
    assert (order.status, order.version) == ("cancelled", 2)


@pytest.mark.parametrize("headers", KEYS)
def test_an_order_that_is_locked_too_long_is_busy(
    customer: User, client: APIClient, headers: dict[str, str]
) -> None:
    order = place((make_product(), 1), customer=customer)

    def cancel() -> Any:
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '50ms'")
        return client.put(f"/api/v1/orders/{order.id}/cancel", headers=headers)

    with transaction.atomic():
        locks.lock_orders([order.id])
        [response] = outcomes_at_once([cancel])

    assert response.status_code == 503, response
    assert int(response["Retry-After"]) >= 1
    order.refresh_from_db()
    assert order.status == "pending"
