"""What is owed can be paid, whatever has happened to the order."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from oms.events.models import Event
from oms.testing.factories import actor_for, api_client, make_customer, make_product, make_staff
from oms.testing.ordering import (
    payment_of,
    place,
    report,
    settle,
    status_changes_of,
)
from orders.errors import OrderNotPayable, OrderNotShippable, TotalChanged
from orders.operations.cancelling import expire_orders
from orders.operations.fulfilling import ship_items
from orders.operations.requesting_payments import pay_order
from orders.operations.status_changes import set_order_status
from orders.states import OrderStatus
from orders.tests.provider_webhooks import (
    CHOICE,
    broken_checks,
    order_of,
    paid,
    refunded,
    state,
)
from payments.gateways.base import ChargeStatus
from payments.models import Payment

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("status", ["on_hold", "processing", "shipped", "delivered"])
def test_what_is_owed_can_be_paid_whatever_has_happened_to_the_order(status: str) -> None:
    customer, staff = make_customer(), actor_for(make_staff())
    order = place((make_product(price=Decimal("100.00")), 1), customer=customer)
    way = {
        "on_hold": ["on_hold"],
        "processing": ["confirmed", "processing"],
        "shipped": ["confirmed", "processing", "shipped"],
        "delivered": ["confirmed", "processing", "shipped", "delivered"],
    }
    for step in way[status]:
        set_order_status(actor=staff, order_id=order.id, status=OrderStatus(step))
    client = api_client(customer)
    path = f"/api/v1/orders/{order.id}"
    assert "pay" in client.get(path).json()["allowed_actions"]

    answer = client.post(f"{path}/payments", {"provider": "sandbox", "token": "tok_success"})

    assert (answer.status_code, answer.json()["amount"]) == (202, "100.00")
    report(order)
    settle()
    assert state(order) == (status, "paid")
    again = client.post(f"{path}/payments", {"provider": "sandbox", "token": "tok_success"})
    assert (again.status_code, again.json()["code"]) == (409, "order_not_payable")
    assert broken_checks() == []


def test_an_order_on_hold_before_payment_does_not_expire_and_can_wait_again() -> None:
    staff = actor_for(make_staff())
    order = place((make_product(), 1))
    set_order_status(actor=staff, order_id=order.id, status=OrderStatus.ON_HOLD)
    order.refresh_from_db()
    assert order.expires_at is None

    set_order_status(actor=staff, order_id=order.id, status=OrderStatus.PENDING)

    assert state(order) == ("pending", "unpaid")
    assert order.expires_at is not None
    assert order.confirmed_at is None
    assert status_changes_of(order)[-1] == "order.awaiting_payment"
    assert expire_orders(at=order.expires_at) == 1
    assert broken_checks() == []


def test_an_order_with_another_total_is_not_paid() -> None:
    customer = make_customer()
    order = place((make_product(price=Decimal("100.00")), 1), customer=customer)
    client, path = api_client(customer), f"/api/v1/orders/{order.id}/payments"
    choice = {"provider": "sandbox", "token": "tok_success"}

    answer = client.post(path, {**choice, "expected_total": "10.00"})

    assert answer.status_code == 409
    problem = answer.json()
    assert (problem["code"], problem["expected"], problem["total"]) == (
        "total_changed",
        "10.00",
        "100.00",
    )
    assert not Payment.objects.exists()
    assert client.post(path, {**choice, "expected_total": "100.00"}).status_code == 202
    with pytest.raises(TotalChanged):
        pay_order(
            actor=actor_for(customer),
            order_id=order.id,
            choice=CHOICE,
            expected_total=Decimal("100.01"),
        )


def test_what_was_fully_refunded_is_neither_shipped_nor_paid() -> None:
    customer, staff = make_customer(), make_staff()
    order = paid(customer=customer)
    refunded(payment_of(order), 100_00)

    with pytest.raises(OrderNotShippable):
        ship_items(actor=actor_for(staff), order_id=order.id)
    with pytest.raises(OrderNotPayable):
        pay_order(actor=actor_for(customer), order_id=order.id, choice=CHOICE)
    actions = api_client(staff).get(f"/api/v1/orders/{order.id}").json()["allowed_actions"]
    assert "cancel" in actions
    assert not {"ship", "pay", "set_status:processing", "set_status:shipped"} & set(actions)


def test_authorized_money_is_shown_as_authorized(settings: Any) -> None:
    settings.PAYMENT_CAPTURE = "manual"
    order = order_of()
    report(order, ChargeStatus.AUTHORIZED)
    settle()

    assert state(order) == ("confirmed", "authorized")
    assert broken_checks() == []


def test_events_have_the_origin_of_money() -> None:
    order = paid()
    refunded(payment_of(order), 1_00)

    event = Event.objects.get(type="refund.succeeded")
    assert event.data["origin"] == "provider"
    captured_event = Event.objects.get(type="payment.captured")
    assert captured_event.data["origin"] == "shop"
