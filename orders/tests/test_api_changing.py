"""What customers do with their orders."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from oms.testing.factories import actor_for, api_client, make_product, make_staff
from oms.testing.ordering import ADDRESS, paid_order, payment_of, place, report, settle, stock_of
from oms.users.models import User
from orders.models import Order
from orders.operations.cancelling import delete_order
from payments.gateways.base import ChargeStatus

pytestmark = pytest.mark.django_db

URL = "/api/v1/orders"


def url(order: Order, more: str = "") -> str:
    return f"{URL}/{order.id}{more}"


def test_a_paid_order_is_not_deleted(customer: User, client: APIClient) -> None:
    order = paid_order((make_product(), 1), customer=customer)

    response = client.delete(url(order))

    assert response.status_code == 409
    assert response.json()["code"] == "order_not_deletable"
    assert response.json()["current_status"] == "confirmed"


def test_editing_answers_the_new_order(customer: User, client: APIClient) -> None:
    mug, pot = make_product(), make_product()
    order = place((mug, 1), customer=customer)
    change = {
        "items": [
            {"product_id": str(pot.id), "quantity": 2},
            {"product_id": str(mug.id), "quantity": 3},
        ],
        "shipping_address": {**ADDRESS, "city": "Hamburg"},
        "note": "Ring twice.",
    }

    response = client.patch(url(order), change, headers={"If-Match": '"v1"'})

    assert response.status_code == 200
    assert response["ETag"] == '"v2"'
    seen = response.json()
    assert [(item["sku"], item["quantity"]) for item in seen["items"]] == [
        (pot.sku, 2),
        (mug.sku, 3),
    ]
    assert (seen["total"], seen["note"]) == ("99.50", "Ring twice.")
    assert seen["shipping_address"]["city"] == "Hamburg"
    assert client.get(url(order)).json() == seen
    assert client.patch(url(order), {}).json() == seen


@pytest.mark.parametrize(
    ("change", "place_at_fault"),
    [
        ({"items": []}, "/items"),
        ({"payment": {"provider": "sandbox", "token": "x"}}, "/payment"),
        ({"status": "confirmed"}, "/status"),
        ({"note": None}, "/note"),
        ({"shipping_address": {"city": "Hamburg"}}, "/shipping_address/name"),
    ],
)
def test_a_bad_edit_names_its_place(
    customer: User, client: APIClient, change: dict[str, Any], place_at_fault: str
) -> None:
    order = place((make_product(), 1), customer=customer)

    response = client.patch(url(order), change)

    assert response.status_code == 400
    assert response.json()["errors"][0]["pointer"] == place_at_fault
    assert Order.objects.get(pk=order.id).version == 1


@pytest.mark.parametrize("tag", ['"v7"', 'W/"v1"', '"other"'])
def test_a_stale_write_is_refused(customer: User, client: APIClient, tag: str) -> None:
    order = place((make_product(), 1), customer=customer)
    headers = {"If-Match": tag}

    for response in (
        client.patch(url(order), {"note": "x"}, headers=headers),
        client.put(url(order, "/cancel"), headers=headers),
        client.delete(url(order), headers=headers),
    ):
        assert (response.status_code, response.json()["code"]) == (412, "precondition_failed")
    order.refresh_from_db()
    assert (order.status, order.version) == ("pending", 1)


def test_a_paid_order_cannot_be_edited(customer: User, client: APIClient) -> None:
    order = paid_order((make_product(), 1), customer=customer)

    response = client.patch(url(order), {"note": "Ring twice."})

    assert (response.status_code, response.json()["code"]) == (409, "order_not_editable")


def test_cancelling_answers_the_cancelled_order_twice(customer: User, client: APIClient) -> None:
    mug = make_product()
    order = place((mug, 2), customer=customer)

    first = client.put(url(order, "/cancel"), {"reason": "by mistake"})
    again = client.put(url(order, "/cancel"))

    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json() == again.json()
    assert first.json()["status"] == "cancelled"
    assert first.json()["allowed_actions"] == ["delete"]
    assert stock_of(mug) == (10, 0)
    [*_, entry] = client.get(url(order, "/status")).json()["history"]
    assert (entry["status"], entry["reason"]) == ("cancelled", "by mistake")


def test_cancelling_a_shipped_order_lists_the_allowed_statuses(
    customer: User, client: APIClient
) -> None:
    order = paid_order((make_product(), 1), customer=customer)
    staff = api_client(make_staff())
    for status in ("processing", "shipped"):
        assert staff.put(url(order, "/status"), {"status": status}).status_code == 200

    response = client.put(url(order, "/cancel"))

    assert response.status_code == 409
    problem = response.json()
    assert (problem["code"], problem["status"]) == ("invalid_transition", 409)
    assert (problem["current_status"], problem["allowed"]) == ("shipped", ["delivered"])


def test_another_attempt_at_paying_follows_a_failed_one(customer: User, client: APIClient) -> None:
    order = place((make_product(), 1), customer=customer, token="tok_declined")
    again = {"provider": "sandbox", "token": "tok_success"}

    busy = client.post(url(order, "/payments"), again)
    assert (busy.status_code, busy.json()["code"]) == (409, "payment_in_progress")
    report(order, ChargeStatus.DECLINED)
    settle()
    assert "pay" in client.get(url(order)).json()["allowed_actions"]

    response = client.post(url(order, "/payments"), again)

    assert response.status_code == 202
    assert response.json()["id"] == str(payment_of(order).id)
    assert (response.json()["status"], response.json()["amount"]) == ("created", "19.90")
    attempts = client.get(url(order, "/payments")).json()["results"]
    assert [(a["status"], a["failure_code"]) for a in attempts] == [
        ("created", ""),
        ("failed", "card_declined"),
    ]
    report(order)
    settle()
    paid = client.post(url(order, "/payments"), again)
    assert (paid.status_code, paid.json()["code"]) == (409, "order_not_payable")


@pytest.mark.parametrize(
    "choice",
    [
        {},
        {"provider": "paypal", "token": "x"},
        {"provider": "sandbox", "token": "x", "amount": "1"},
    ],
)
def test_a_bad_choice_of_payment_is_refused(
    customer: User, client: APIClient, choice: dict[str, str]
) -> None:
    order = place((make_product(), 1), customer=customer)

    assert client.post(url(order, "/payments"), choice).status_code == 400
    assert client.get(url(order)).json()["payment_status"] == "unpaid"


def test_a_deleted_order_is_not_paid(customer: User, client: APIClient) -> None:
    order = place((make_product(), 1), customer=customer)
    delete_order(actor=actor_for(customer), order_id=order.id)

    response = client.post(url(order, "/payments"), {"provider": "sandbox", "token": "tok_success"})

    assert response.status_code == 404
