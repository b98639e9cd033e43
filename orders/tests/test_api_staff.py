"""What staff read and do with all orders."""

from __future__ import annotations

from decimal import Decimal

import pytest
from rest_framework.test import APIClient

from oms.core.ids import new_id
from oms.testing.factories import api_client, make_customer, make_product, make_staff
from oms.testing.ordering import paid_order, payment_of, place, stock_of
from orders.models import Order
from payments.models import Refund

pytestmark = pytest.mark.django_db

ADMIN = "/api/v1/admin"


@pytest.fixture
def staff() -> APIClient:
    return api_client(make_staff())


def calls(order: Order) -> list[tuple[str, str]]:
    payment = payment_of(order)
    return [
        ("get", f"{ADMIN}/orders"),
        ("put", f"{ADMIN}/orders/{order.id}/status"),
        ("put", f"/api/v1/orders/{order.id}/status"),
        ("post", f"{ADMIN}/orders/{order.id}/shipments"),
        ("get", f"{ADMIN}/payments"),
        ("get", f"{ADMIN}/payments/{payment.id}"),
        ("get", f"{ADMIN}/payments/{payment.id}/refunds"),
        ("post", f"{ADMIN}/payments/{payment.id}/refunds"),
    ]


def test_staffs_calls_are_closed_to_others() -> None:
    customer = make_customer()
    order = paid_order((make_product(), 1), customer=customer)
    owner = api_client(customer)

    for method, path in calls(order):
        assert getattr(owner, method)(path).status_code == 403, path
        assert getattr(APIClient(), method)(path).status_code == 401, path


def test_all_orders_are_filtered(staff: APIClient) -> None:
    mug, ada = make_product(stock=100), make_customer(email="ada@example.com")
    hers = place((mug, 1), customer=ada)
    paid = paid_order((mug, 1))

    def ids(**query: str) -> list[str]:
        response = staff.get(f"{ADMIN}/orders", query)
        assert response.status_code == 200, response.content
        return [order["id"] for order in response.json()["results"]]

    assert ids() == [str(paid.id), str(hers.id)]
    assert ids(customer_id=str(ada.id)) == [str(hers.id)]
    assert ids(payment_status="paid") == [str(paid.id)]
    assert ids(fulfilment_status="shipped") == []
    assert ids(number=paid.number) == [str(paid.id)]
    assert ids(search="ADA@example") == [str(hers.id)]
    assert ids(search=ada.full_name.upper()) == [str(hers.id)]
    assert ids(search=f"ada {hers.number.lower()}") == [str(hers.id)]
    assert ids(search=f"ada {paid.number}") == []
    assert ids(search=paid.number[-6:].lower()) == [str(paid.id)]
    assert ids(search=paid.number[:8]) == [str(paid.id), str(hers.id)]
    assert ids(search="-") == []  # a part of every number, at no end of one
    assert ids(status__in="confirmed,shipped") == [str(paid.id)]


def test_staff_see_their_allowed_actions(staff: APIClient) -> None:
    order = paid_order((make_product(), 1))

    [seen] = staff.get(f"{ADMIN}/orders").json()["results"]

    assert seen["id"] == str(order.id)
    assert seen["allowed_actions"] == [
        "cancel",
        "set_status:processing",
        "set_status:on_hold",
        "set_status:cancelled",
        "edit_address",
        "ship",
        "cancel_items",
        "refund",
    ]


@pytest.mark.parametrize("prefix", ["/api/v1", ADMIN])
def test_staff_set_statuses(staff: APIClient, prefix: str) -> None:
    order = paid_order((make_product(), 1))
    path = f"{prefix}/orders/{order.id}/status"

    assert staff.put(path, {"status": "processing"}).json()["status"] == "processing"
    shipped = staff.put(
        path,
        {"status": "shipped", "carrier": "DHL", "tracking_number": "JD01", "reason": "all there"},
    )
    assert shipped.status_code == 200
    assert shipped.json()["items"][0]["quantity_shipped"] == 1
    again = staff.put(path, {"status": "shipped"})
    assert again["ETag"] == shipped["ETag"]
    illegal = staff.put(path, {"status": "cancelled"})
    assert illegal.status_code == 409
    assert illegal.json()["code"] == "invalid_transition"
    assert illegal.json()["allowed"] == ["delivered"]
    assert staff.put(path, {"status": "delivered"}).json()["fulfilment_status"] == "delivered"
    assert staff.put(path, {"status": "gone"}).status_code == 400
    assert staff.put(path, {}).status_code == 400
    stale = staff.put(path, {"status": "delivered"}, headers={"If-Match": '"v1"'})
    assert stale.status_code == 412


def test_shipping_some_and_then_all_that_is_left(staff: APIClient) -> None:
    mug = make_product()
    order = paid_order((mug, 3))
    [item] = order.items.all()
    path = f"{ADMIN}/orders/{order.id}/shipments"
    shipment = {"carrier": "DHL", "tracking_number": "JD01"}
    line = {"order_item_id": str(item.id), "quantity": 2}

    first = staff.post(path, {**shipment, "items": [line]})
    assert first.status_code == 201
    assert first.json()["order_id"] == str(order.id)
    assert first.json()["items"] == [line]
    too_many = staff.post(path, {**shipment, "items": [line]})
    assert (too_many.status_code, too_many.json()["code"]) == (409, "nothing_to_ship")
    rest = staff.post(path, shipment)

    assert rest.json()["items"] == [{**line, "quantity": 1}]
    assert stock_of(mug) == (7, 0)
    over = staff.post(path, shipment)
    assert (over.status_code, over.json()["code"]) == (409, "order_not_shippable")
    assert staff.post(f"{ADMIN}/orders/{new_id()}/shipments", shipment).status_code == 404


def test_a_shipment_reports_its_errors(staff: APIClient) -> None:
    order = paid_order((make_product(), 3))
    [item] = order.items.all()
    line = {"order_item_id": str(item.id), "quantity": 1}

    response = staff.post(
        f"{ADMIN}/orders/{order.id}/shipments",
        {"items": [line, line], "carrier": 5, "weight": 3},
    )

    assert response.status_code == 400
    assert {(e["pointer"], e["code"]) for e in response.json()["errors"]} == {
        ("/items/1/order_item_id", "duplicate"),
        ("/carrier", "invalid"),
        ("/weight", "unknown_field"),
    }


def test_refunds_are_limited_to_the_captured_amount(staff: APIClient) -> None:
    order = paid_order((make_product(price=Decimal("50.00")), 1))
    path = f"{ADMIN}/payments/{payment_of(order).id}/refunds"

    part = staff.post(path, {"amount": "20.00", "reason": "damaged"})
    assert part.status_code == 202
    assert (part.json()["amount"], part.json()["status"]) == ("20.00", "requested")
    over = staff.post(path, {"amount": "30.01", "reason": "more"})
    assert over.status_code == 409
    assert over.json()["code"] == "refund_exceeds_captured"
    assert (over.json()["captured"], over.json()["refundable"]) == ("50.00", "30.00")
    rest = staff.post(path, {"reason": "the rest"})

    assert rest.json()["amount"] == "30.00"
    assert [r["amount"] for r in staff.get(path).json()["results"]] == ["30.00", "20.00"]
    assert Refund.objects.count() == 2


@pytest.mark.parametrize("amount", ["0.00", "-1.00", 5, "1.001", "1e2", "", None])
def test_an_amount_is_a_positive_decimal_string(staff: APIClient, amount: object) -> None:
    order = paid_order((make_product(), 1))

    response = staff.post(
        f"{ADMIN}/payments/{payment_of(order).id}/refunds", {"amount": amount, "reason": "x"}
    )

    assert response.status_code == 400
    assert response.json()["errors"][0]["pointer"] == "/amount"
    assert not Refund.objects.exists()


def test_payments_are_listed_and_shown(staff: APIClient) -> None:
    order = paid_order((make_product(), 1))
    place((make_product(), 1), token="tok_success")
    payment = payment_of(order)

    page = staff.get(f"{ADMIN}/payments", {"status": "captured"}).json()["results"]

    assert [seen["id"] for seen in page] == [str(payment.id)]
    shown = staff.get(f"{ADMIN}/payments/{payment.id}").json()
    assert shown == page[0]
    assert shown["provider_reference"] == f"ch_{payment.id}"
    assert "token" not in shown
    by_order = staff.get(f"{ADMIN}/payments", {"order_id": str(order.id)}).json()["results"]
    assert by_order == page
    assert staff.get(f"{ADMIN}/payments/{new_id()}").status_code == 404
    assert staff.get(f"{ADMIN}/payments/{new_id()}/refunds").status_code == 404
    refund = staff.post(f"{ADMIN}/payments/{new_id()}/refunds", {"reason": "x"})
    assert refund.status_code == 404
