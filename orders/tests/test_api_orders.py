"""What customers read and do with their orders."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from oms.core.ids import new_id
from oms.testing.factories import actor_for, api_client, make_customer, make_product, make_staff
from oms.testing.ordering import ADDRESS, paid_order, payment_of, place, report, settle, stock_of
from oms.users.models import User
from orders.models import Order
from orders.operations.cancelling import cancel_order, delete_order
from payments.gateways.base import ChargeStatus

pytestmark = pytest.mark.django_db

URL = "/api/v1/orders"


@pytest.fixture
def customer() -> User:
    return make_customer()


@pytest.fixture
def client(customer: User) -> APIClient:
    return api_client(customer)


def url(order: Order, more: str = "") -> str:
    return f"{URL}/{order.id}{more}"


def test_customers_see_their_own_orders_and_staff_all(customer: User, client: APIClient) -> None:
    order = place((make_product(), 1), customer=customer)

    assert client.get(url(order)).json()["id"] == str(order.id)
    assert api_client(make_staff()).get(url(order)).status_code == 200
    other = api_client(make_customer())
    for call in (
        other.get(url(order)),
        other.get(url(order, "/status")),
        other.get(url(order, "/payments")),
        other.patch(url(order), {"note": "mine"}),
        other.put(url(order, "/cancel")),
        other.delete(url(order)),
        other.post(url(order, "/payments"), {"provider": "sandbox", "token": "tok_success"}),
        client.get(f"{URL}/{new_id()}"),
    ):
        assert (call.status_code, call.json()["code"]) == (404, "not_found")
    assert other.get(URL).json() == {"next": None, "previous": None, "results": []}
    order.refresh_from_db()
    assert (order.version, order.note, order.status) == (1, "", "pending")


def test_deleted_orders_are_nowhere(customer: User, client: APIClient) -> None:
    order = place((make_product(), 1), customer=customer)

    assert client.delete(url(order)).status_code == 204

    staff = api_client(make_staff())
    for caller in (client, staff):
        for path in (url(order), url(order, "/status"), url(order, "/payments")):
            assert caller.get(path).status_code == 404
    assert client.delete(url(order)).status_code == 404
    assert client.get(URL).json()["results"] == []
    assert staff.get("/api/v1/admin/orders").json()["results"] == []


def test_a_paid_order_is_not_deleted(customer: User, client: APIClient) -> None:
    order = paid_order((make_product(), 1), customer=customer)

    response = client.delete(url(order))

    assert response.status_code == 409
    assert response.json()["code"] == "order_not_deletable"
    assert response.json()["current_status"] == "confirmed"


def test_the_list_takes_three_statements_however_long_it_is(
    customer: User, client: APIClient
) -> None:
    mug = make_product(stock=100)
    orders = [place((mug, 1), customer=customer) for _ in range(7)]

    with CaptureQueriesContext(connection) as statements:
        page = client.get(URL, {"page_size": 5}).json()

    assert len(statements) == 3  # who asks, the orders, their items
    assert [order["id"] for order in page["results"]] == [str(o.id) for o in orders[:1:-1]]
    rest = client.get(page["next"]).json()
    assert [order["id"] for order in rest["results"]] == [str(o.id) for o in orders[1::-1]]
    assert rest["next"] is None


def test_an_order_takes_three_statements(customer: User, client: APIClient) -> None:
    order = place((make_product(), 1), (make_product(), 1), customer=customer)

    with CaptureQueriesContext(connection) as statements:
        client.get(url(order))

    assert len(statements) == 3


def test_lists_are_filtered_and_ordered(customer: User, client: APIClient) -> None:
    mug = make_product(stock=100)
    first, second, third = (place((mug, 1), customer=customer) for _ in range(3))
    cancel_order(actor=actor_for(customer), order_id=second.id)

    def ids(**query: str) -> list[str]:
        response = client.get(URL, query)
        assert response.status_code == 200, response.content
        return [order["id"] for order in response.json()["results"]]

    a, b, c = (str(order.id) for order in (first, second, third))
    assert ids(status="cancelled") == [b]
    assert ids(status__in="cancelled,pending") == [c, b, a]
    assert ids(created_at__gte=second.placed_at.isoformat()) == [c, b]
    assert ids(created_at__lt=second.placed_at.isoformat()) == [a]
    assert ids(search=third.number.lower()) == [c]
    assert ids(ordering="placed_at") == [a, b, c]
    assert ids(ordering="-updated_at")[0] == b
    assert ids(updated_since=Order.objects.get(pk=second.id).updated_at.isoformat()) == [b]


@pytest.mark.parametrize(
    "query",
    [
        {"statsu": "pending"},
        {"status": "paid"},
        {"ordering": "total"},
        {"page_size": "201"},
        {"created_at__gte": "yesterday"},
        {"customer_id": "019aa2f4-7c1e-7d52-9b0a-3c5f6e8d1a27"},
        {"cursor": "x"},
    ],
)
def test_an_unknown_or_malformed_query_is_refused(client: APIClient, query: dict[str, str]) -> None:
    response = client.get(URL, query)

    assert response.status_code == 400
    assert response.json()["code"] == "invalid_query"


def test_what_has_not_changed_is_not_sent_again(customer: User, client: APIClient) -> None:
    order = place((make_product(), 1), customer=customer)
    for path in (url(order), url(order, "/status")):
        tag = client.get(path)["ETag"]
        assert tag == '"v1"'
        unchanged = client.get(path, headers={"If-None-Match": tag})
        assert (unchanged.status_code, unchanged.content) == (304, b"")

    client.patch(url(order), {"note": "Ring twice."})

    assert client.get(url(order), headers={"If-None-Match": '"v1"'}).status_code == 200


def test_the_tag_of_an_expanded_order_goes_by_its_payments_too(
    customer: User, client: APIClient
) -> None:
    order = place((make_product(), 1), customer=customer, token="tok_success")
    path = url(order, "?expand=payments")
    tag = client.get(path)["ETag"]
    assert client.get(path, headers={"If-None-Match": tag}).status_code == 304

    report(order)  # the payment has changed, the order has not heard of it yet

    assert client.get(path, headers={"If-None-Match": tag}).status_code == 200


def test_an_order_is_expanded_by_what_is_asked_for(customer: User, client: APIClient) -> None:
    order = paid_order((make_product(), 2), customer=customer)
    staff = api_client(make_staff())
    shipped = {"carrier": "DHL", "tracking_number": "JD01"}
    assert staff.post(f"/api/v1/admin/orders/{order.id}/shipments", shipped).status_code == 201

    seen = client.get(url(order), {"expand": "payments,shipments,history"}).json()

    assert [payment["status"] for payment in seen["payments"]] == ["captured"]
    assert "token" not in seen["payments"][0]
    assert seen["payments"][0]["refunds"] == []
    [shipment] = seen["shipments"]
    assert (shipment["carrier"], shipment["tracking_number"]) == ("DHL", "JD01")
    assert shipment["items"] == [{"order_item_id": seen["items"][0]["id"], "quantity": 2}]
    assert [entry["status"] for entry in seen["history"]] == [
        "pending",
        "confirmed",
        "processing",
        "shipped",
    ]
    assert "shipments" not in client.get(url(order), {"expand": "payments"}).json()


@pytest.mark.parametrize("expand", ["customer", "payments,customer", ",", "payments,"])
def test_an_unknown_expansion_is_refused(customer: User, client: APIClient, expand: str) -> None:
    order = place((make_product(), 1), customer=customer)

    response = client.get(url(order), {"expand": expand})

    assert response.status_code == 400
    assert response.json()["errors"][0]["parameter"] == "expand"


def test_the_history_says_who_took_each_step(customer: User, client: APIClient) -> None:
    order = paid_order((make_product(), 1), customer=customer)
    staff = make_staff()
    api_client(staff).put(url(order, "/status"), {"status": "on_hold", "reason": "address?"})

    seen = client.get(url(order, "/status")).json()

    assert (seen["status"], seen["payment_status"], seen["fulfilment_status"]) == (
        "on_hold",
        "paid",
        "unfulfilled",
    )
    assert [(e["status"], e["by"], e["reason"]) for e in seen["history"]] == [
        ("pending", customer.email, ""),
        ("confirmed", "system", "paid"),
        ("on_hold", "staff", "address?"),
    ]
    told = api_client(staff).get(url(order, "/status")).json()["history"]
    assert [entry["by"] for entry in told] == [customer.email, "sandbox", staff.email]


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


def test_cancelling_what_is_shipped_says_what_is_legal(customer: User, client: APIClient) -> None:
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
