"""If-Match on everything that is done to an order or below it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from rest_framework.test import APIClient

from oms.api.documentation import documentation_of, takes_precondition
from oms.fastpath.routes import routes
from oms.testing.factories import make_product
from oms.testing.ordering import paid_order, payment_of, place
from oms.users.models import User
from orders.models import Order
from orders.tests.test_api_placing import body
from payments.models import Payment, Refund

pytestmark = pytest.mark.django_db

CHOICE = {"provider": "sandbox", "token": "tok_success"}


def stale(response: Any, *, current: int) -> bool:
    problem = response.json()
    return (response.status_code, response["ETag"]) == (412, f'"v{current}"') and (
        problem["code"],
        problem["current_version"],
    ) == ("precondition_failed", current)


def test_an_order_that_was_changed_meanwhile_is_not_paid(
    customer: User, client: APIClient, staff: APIClient
) -> None:
    order = place((make_product(), 1), customer=customer)
    path = f"/api/v1/orders/{order.id}"
    dear = make_product(price=Decimal("5000.00"))
    edited = staff.patch(path, {"items": [{"product_id": str(dear.id), "quantity": 1}]})
    assert edited["ETag"] == '"v2"'

    refused = client.post(f"{path}/payments", CHOICE, headers={"If-Match": '"v1"'})
    assert stale(refused, current=2)
    assert not Payment.objects.exists()
    accepted = client.post(f"{path}/payments", CHOICE, headers={"If-Match": refused["ETag"]})

    assert accepted.status_code == 202
    assert Order.objects.get().version == 3


def test_refunds_take_the_orders_version_and_raise_it(staff: APIClient) -> None:
    order = paid_order((make_product(), 1))
    path = f"/api/v1/admin/payments/{payment_of(order).id}/refunds"
    wanted = {"amount": "1.00", "reason": "Damaged."}

    refused = staff.post(path, wanted, headers={"If-Match": '"v1"'})
    assert stale(refused, current=order.version)
    assert not Refund.objects.exists()
    accepted = staff.post(path, wanted, headers={"If-Match": f'"v{order.version}"'})

    assert accepted.status_code == 202
    assert Order.objects.get().version == order.version + 1


def test_shipments_take_the_orders_version(staff: APIClient) -> None:
    order = paid_order((make_product(), 1))
    path = f"/api/v1/admin/orders/{order.id}/shipments"
    wanted = {"carrier": "DHL", "tracking_number": "1"}

    assert stale(staff.post(path, wanted, headers={"If-Match": '"v1"'}), current=order.version)
    accepted = staff.post(path, wanted, headers={"If-Match": f'"v{order.version}"'})

    assert accepted.status_code == 201
    assert Order.objects.get().version > order.version


def test_a_call_that_was_stale_is_done_under_the_same_key(client: APIClient) -> None:
    mug = make_product()
    order = client.post("/api/v1/orders", body((mug, 1))).json()
    path = f"/api/v1/orders/{order['id']}/cancel"
    key = {"Idempotency-Key": "k"}

    refused = client.put(path, {}, headers={**key, "If-Match": '"v99"'})
    done = client.put(path, {}, headers={**key, "If-Match": refused["ETag"]})
    again = client.put(path, {}, headers={**key, "If-Match": '"v99"'})

    assert (refused.status_code, done.status_code) == (412, 200)
    assert done.json()["status"] == "cancelled"
    assert (again.content, again["Idempotent-Replayed"]) == (done.content, "true")


@pytest.mark.parametrize(
    ("method", "path", "content"),
    [
        ("post", "/api/v1/orders", {}),
        ("post", "/api/v1/orders/bulk", {}),
        ("patch", "/api/v1/users/me", {"full_name": "X"}),
        ("put", "/api/v1/users/me", {"full_name": "X", "phone": ""}),
        ("post", "/api/v1/admin/inventory/adjustments", {}),
        ("post", "/api/v1/products", {}),
        ("put", "/api/v1/notifications/00000000-0000-0000-0000-000000000000/read", {}),
        ("post", "/api/v1/users", {}),
        ("post", "/api/v1/auth/token", {}),
    ],
)
@pytest.mark.parametrize("tag", ['"v99"', "*"])
def test_what_has_no_version_takes_no_if_match(
    staff: APIClient, method: str, path: str, content: dict[str, Any], tag: str
) -> None:
    response = getattr(staff, method)(path, content, headers={"If-Match": tag})

    assert (response.status_code, response.json()["code"]) == (400, "precondition_unsupported")
    assert response.json()["errors"][0]["header"] == "If-Match"


def test_reads_do_not_mind_if_match(client: APIClient) -> None:
    assert client.get("/api/v1/users/me", headers={"If-Match": '"v1"'}).status_code == 200


def test_every_write_of_the_fast_path_refuses_it() -> None:
    """The fast path leaves calls with If-Match to Django, which knows what takes it."""
    writes = [route for (method, _), route in routes().items() if method != "GET"]

    assert writes
    for route in writes:
        said = documentation_of(getattr(route.view, route.action))
        assert not takes_precondition(said, "POST")


def test_a_version_of_money_of_no_order_is_refused(staff: APIClient) -> None:
    payment = Payment.objects.create(
        origin="provider",
        charge_key="till-7",
        provider="sandbox",
        amount=Decimal("10.00"),
        captured_amount=Decimal("10.00"),
        currency="EUR",
        status="captured",
        next_attempt_at=None,
    )
    path = f"/api/v1/admin/payments/{payment.id}/refunds"

    wanted = {"amount": "4.00", "reason": "Not due."}

    refused = staff.post(path, wanted, headers={"If-Match": '"v1"'})

    assert (refused.status_code, refused.json()["code"]) == (400, "precondition_unsupported")
    assert not Refund.objects.exists()
    assert staff.get("/api/v1/admin/payments").json()["results"][0]["refundable"] == "10.00"
    assert staff.post(path, wanted).status_code == 202
    assert staff.get("/api/v1/admin/payments").json()["results"][0]["refundable"] == "6.00"
