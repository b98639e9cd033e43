"""Cancelling, expiring and deleting orders."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from inventory.models import StockMovement
from oms.core import clock
from oms.core.errors import NotFound, StaleVersion
from oms.testing.factories import actor_for, make_customer, make_product, make_staff
from oms.testing.ordering import (
    paid_order,
    payment_of,
    place,
    report,
    settle,
    status_changes_of,
    stock_of,
)
from orders.errors import InvalidTransition, OrderNotDeletable
from orders.models import Order
from orders.operations.cancelling import PAYING_GRACE, cancel_order, delete_order, expire_orders
from orders.operations.fulfilling import ship_items
from orders.operations.quantities import ItemQuantity
from orders.queries import find_order, orders_of
from payments.gateways.base import ChargeStatus
from payments.models import Refund

pytestmark = pytest.mark.django_db


def test_cancelling_releases_reserved_stock() -> None:
    mug, customer = make_product(), make_customer()
    order = place((mug, 4), customer=customer)

    cancelled = cancel_order(actor=actor_for(customer), order_id=order.id, reason="changed my mind")

    assert cancelled.status == "cancelled"
    assert cancelled.cancelled_at is not None
    assert cancelled.expires_at is None
    assert stock_of(mug) == (10, 0)
    kinds = StockMovement.objects.filter(order_id=order.id).values_list("kind", "reserved_delta")
    assert sorted(kinds) == [("release", -4), ("reserve", 4)]
    assert status_changes_of(order) == ["order.placed", "order.cancelled"]


def test_cancelling_again_does_nothing() -> None:
    mug, customer = make_product(), make_customer()
    order = place((mug, 4), customer=customer)
    first = cancel_order(actor=actor_for(customer), order_id=order.id)

    again = cancel_order(actor=actor_for(customer), order_id=order.id)

    assert again.version == first.version
    assert stock_of(mug) == (10, 0)
    assert status_changes_of(order) == ["order.placed", "order.cancelled"]


def test_cancelling_a_paid_order_refunds_it_once() -> None:
    mug, customer = make_product(), make_customer()
    order = paid_order((mug, 2), customer=customer)

    for _ in range(2):
        cancel_order(actor=actor_for(customer), order_id=order.id)

    [refund] = Refund.objects.filter(order_id=order.id)
    assert refund.amount == order.total
    assert payment_of(order).refunded_amount == order.total


def test_cancelling_before_anybody_called_the_provider_voids_the_payment() -> None:
    customer = make_customer()
    order = place((make_product(), 1), customer=customer, token="tok_success")

    cancel_order(actor=actor_for(customer), order_id=order.id)
    settle()

    payment = payment_of(order)
    assert (payment.status, payment.next_attempt_at) == ("voided", None)
    order.refresh_from_db()
    assert (order.status, order.payment_status) == ("cancelled", "unpaid")


def test_a_payment_captured_after_cancelling_is_refunded() -> None:
    customer = make_customer()
    order = place((make_product(), 1), customer=customer, token="tok_success")
    payment = payment_of(order)
    payment.status = "processing"
    payment.save()

    cancel_order(actor=actor_for(customer), order_id=order.id)
    assert report(order)
    settle()

    order.refresh_from_db()
    assert (order.status, order.payment_status) == ("cancelled", "paid")
    assert Refund.objects.get(order_id=order.id).amount == order.total


def test_an_order_with_a_shipped_item_cannot_be_cancelled() -> None:
    mug, customer = make_product(), make_customer()
    order = paid_order((mug, 3), customer=customer)
    [item] = order.items.all()
    ship_items(
        actor=actor_for(make_staff()),
        order_id=order.id,
        items=[ItemQuantity(order_item_id=item.id, quantity=1)],
    )

    with pytest.raises(InvalidTransition) as refusal:
        cancel_order(actor=actor_for(customer), order_id=order.id)

    assert refusal.value.data == {
        "current_status": "processing",
        "allowed": ["on_hold", "shipped"],
    }
    assert stock_of(mug) == (9, 2)
    assert not Refund.objects.exists()


def test_an_order_of_another_customer_is_not_found() -> None:
    order = place((make_product(), 1))

    for operation in (cancel_order, delete_order):
        with pytest.raises(NotFound):
            operation(actor=actor_for(make_customer()), order_id=order.id)


def test_a_stale_version_changes_nothing() -> None:
    customer = make_customer()
    order = place((make_product(), 1), customer=customer)

    with pytest.raises(StaleVersion):
        cancel_order(actor=actor_for(customer), order_id=order.id, expected_version=2)

    order.refresh_from_db()
    assert order.status == "pending"


def test_an_unpaid_order_expires_and_releases_its_stock() -> None:
    mug = make_product()
    order = place((mug, 2))
    assert order.expires_at is not None
    assert expire_orders(at=order.expires_at - timedelta(seconds=1)) == 0

    assert expire_orders(at=order.expires_at) == 1
    assert expire_orders(at=order.expires_at) == 0

    order.refresh_from_db()
    assert order.status == "expired"
    assert stock_of(mug) == (10, 0)
    assert status_changes_of(order) == ["order.placed", "order.expired"]


def test_an_order_with_a_payment_in_progress_expires_later() -> None:
    order = place((make_product(), 2), token="tok_success")
    assert order.expires_at is not None

    assert expire_orders(at=order.expires_at + PAYING_GRACE - timedelta(seconds=1)) == 0
    assert expire_orders(at=order.expires_at + PAYING_GRACE) == 1


def test_an_order_whose_payment_failed_expires_in_time() -> None:
    order = place((make_product(), 2), token="tok_declined")
    report(order, ChargeStatus.DECLINED)
    settle()
    assert order.expires_at is not None

    assert expire_orders(at=order.expires_at) == 1


def test_expiring_takes_as_many_statements_for_ten_orders_as_for_one() -> None:
    def statements(number: int) -> int:
        for _ in range(number):
            place((make_product(), 2))
        with CaptureQueriesContext(connection) as captured:
            assert expire_orders(at=clock.now() + timedelta(hours=1)) == number
        return len(captured)

    assert statements(10) == statements(1)


def test_many_orders_of_one_product_expire_together() -> None:
    mug = make_product()
    orders = [place((mug, 1)) for _ in range(3)]

    assert expire_orders(at=clock.now() + timedelta(hours=1)) == 3

    assert stock_of(mug) == (10, 0)
    assert {status_changes_of(order)[-1] for order in orders} == {"order.expired"}


def test_deleting_an_unpaid_order_cancels_it_first() -> None:
    mug, customer = make_product(), make_customer()
    order = place((mug, 2), customer=customer)

    delete_order(actor=actor_for(customer), order_id=order.id)

    assert not orders_of(customer.id).exists()
    with pytest.raises(NotFound):
        find_order(order.id, actor=actor_for(make_staff()))
    with pytest.raises(NotFound):
        delete_order(actor=actor_for(customer), order_id=order.id)
    assert Order.objects.get(pk=order.id).status == "cancelled"
    assert stock_of(mug) == (10, 0)
    assert status_changes_of(order) == ["order.placed", "order.cancelled", "order.deleted"]


def test_an_order_that_is_paid_or_being_paid_cannot_be_deleted() -> None:
    customer = make_customer()
    paying = place((make_product(), 1), customer=customer, token="tok_success")
    paid = paid_order((make_product(), 1), customer=customer)

    for order in (paying, paid):
        with pytest.raises(OrderNotDeletable):
            delete_order(actor=actor_for(customer), order_id=order.id)
