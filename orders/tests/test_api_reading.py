"""What customers read of their orders."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from oms.core.ids import new_id
from oms.testing.factories import actor_for, api_client, make_customer, make_product, make_staff
from oms.testing.ordering import paid_order, place, report
from oms.users.models import User
from orders.models import Order
from orders.operations.cancelling import cancel_order

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("both_fronts")]

URL = "/api/v1/orders"


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
    assert ids(created_at__gte="0001-01-01T00:00:00Z") == [c, b, a]
    assert ids(created_at__lt="9999-12-31T23:59:59Z") == [c, b, a]
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


def test_an_unchanged_order_is_not_sent_again(customer: User, client: APIClient) -> None:
    order = place((make_product(), 1), customer=customer)
    for path in (url(order), url(order, "/status")):
        tag = client.get(path)["ETag"]
        assert tag == '"v1"'
        unchanged = client.get(path, headers={"If-None-Match": tag})
        assert (unchanged.status_code, unchanged.content) == (304, b"")

    client.patch(url(order), {"note": "Ring twice."})

    assert client.get(url(order), headers={"If-None-Match": '"v1"'}).status_code == 200


def test_the_etag_of_an_expanded_order_depends_on_its_payments(
    customer: User, client: APIClient
) -> None:
    order = place((make_product(), 1), customer=customer, token="tok_success")
    path = url(order, "?expand=payments")
    tag = client.get(path)["ETag"]
    assert client.get(path, headers={"If-None-Match": tag}).status_code == 304

    report(order)  # the payment has changed, the event is not handled yet

    assert client.get(path, headers={"If-None-Match": tag}).status_code == 200


def test_an_order_is_expanded_as_requested(customer: User, client: APIClient) -> None:
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


def test_the_history_has_the_actor_of_each_change(customer: User, client: APIClient) -> None:
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
    history = api_client(staff).get(url(order, "/status")).json()["history"]
    assert [entry["by"] for entry in history] == [customer.email, "sandbox", staff.email]
