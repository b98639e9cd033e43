"""Payments of orders."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from inventory.models import StockMovement
from inventory.operations.stock import StockAllocator, open_stock_allocator
from oms.core import clock
from oms.core.actor import system
from oms.events.publishing import publish
from oms.testing.factories import actor_for, make_customer, make_product, make_staff
from oms.testing.ordering import (
    PROVIDER,
    paid_order,
    payment_of,
    place,
    report,
    settle,
    status_changes_of,
    stock_of,
)
from orders.errors import OrderNotPayable
from orders.models import Order, OrderItem
from orders.operations import paying
from orders.operations.cancellations import cancel_items
from orders.operations.cancelling import cancel_order, delete_order, expire_orders
from orders.operations.quantities import ItemQuantity
from orders.operations.requesting_payments import pay_order
from orders.operations.status_changes import set_order_status
from orders.placements import PaymentChoice
from orders.states import OrderStatus
from payments.errors import PaymentInProgress
from payments.events import PaymentBecameUnknown, PaymentVoided
from payments.gateways.base import ChargeStatus
from payments.locks import lock_payments_of_orders
from payments.models import Payment, Refund
from payments.states import PaymentStatus

pytestmark = pytest.mark.django_db

CHOICE = PaymentChoice(provider="sandbox", token="tok_success")


def _send(*orders: Order) -> None:
    """Let a worker have sent their payments, and no outcome be known."""
    ids = [order.id for order in orders]
    Payment.objects.filter(order_id__in=ids).update(status=PaymentStatus.PROCESSING)


def test_a_captured_payment_confirms_the_order() -> None:
    order = place((make_product(), 1), token="tok_success")

    assert report(order)
    settle()

    order.refresh_from_db()
    assert (order.status, order.payment_status) == ("confirmed", "paid")
    assert order.confirmed_at is not None
    assert order.expires_at is None
    assert status_changes_of(order) == ["order.placed", "order.paid", "order.confirmed"]


def test_a_repeated_event_changes_nothing() -> None:
    order = paid_order((make_product(), 1))
    version = order.version

    assert not report(order)
    assert not report(order, ChargeStatus.DECLINED)
    settle()

    order.refresh_from_db()
    assert order.version == version
    assert payment_of(order).status == "captured"


def test_a_failed_payment_leaves_the_order_pending_and_the_next_one_pays_it() -> None:
    customer = make_customer()
    order = place((make_product(), 1), customer=customer, token="tok_declined")
    failed = payment_of(order)

    report(order, ChargeStatus.DECLINED)
    settle()
    order.refresh_from_db()
    assert (order.status, order.payment_status) == ("pending", "failed")

    payment = pay_order(actor=actor_for(customer), order_id=order.id, choice=CHOICE)
    order.refresh_from_db()
    assert order.payment_status == "processing"
    assert payment.amount == order.total
    report(order)
    settle()

    order.refresh_from_db()
    failed.refresh_from_db()
    assert (order.status, order.payment_status) == ("confirmed", "paid")
    assert failed.status == "failed"
    assert Payment.objects.filter(order_id=order.id).count() == 2


def test_a_late_event_of_a_failed_attempt_does_not_change_the_next_one() -> None:
    customer = make_customer()
    order = place((make_product(), 1), customer=customer, token="tok_declined")
    report(order, ChargeStatus.DECLINED)
    order.payment_status = "failed"
    order.save()
    pay_order(actor=actor_for(customer), order_id=order.id, choice=CHOICE)

    settle()  # only now is the decline handled

    order.refresh_from_db()
    assert order.payment_status == "processing"


def test_a_payment_in_progress_allows_no_other() -> None:
    customer = make_customer()
    order = place((make_product(), 1), customer=customer, token="tok_success")

    with pytest.raises(PaymentInProgress):
        pay_order(actor=actor_for(customer), order_id=order.id, choice=CHOICE)

    report(order)  # the event is not handled yet
    with pytest.raises(PaymentInProgress):
        pay_order(actor=actor_for(customer), order_id=order.id, choice=CHOICE)
    assert Payment.objects.filter(order_id=order.id).count() == 1


def test_an_order_that_owes_nothing_cannot_be_paid() -> None:
    customer = make_customer()
    paid = paid_order((make_product(), 1), customer=customer)
    free = place((make_product(price=Decimal("0.00")), 1), customer=customer)

    for order in (paid, free):
        with pytest.raises(OrderNotPayable):
            pay_order(actor=actor_for(customer), order_id=order.id, choice=CHOICE)


def test_an_order_that_staff_confirmed_can_be_paid_later() -> None:
    customer = make_customer()
    order = place((make_product(), 1), customer=customer)
    set_order_status(actor=actor_for(make_staff()), order_id=order.id, status=OrderStatus.CONFIRMED)

    pay_order(actor=actor_for(customer), order_id=order.id, choice=CHOICE)
    report(order)
    settle()

    order.refresh_from_db()
    assert (order.status, order.payment_status) == ("confirmed", "paid")
    assert status_changes_of(order).count("order.confirmed") == 1


def test_a_late_payment_confirms_an_expired_order_whose_stock_is_available() -> None:
    mug = make_product(stock=2)
    order = place((mug, 2), token="tok_success")
    _send(order)
    assert expire_orders(at=clock.now() + timedelta(hours=2)) == 1
    assert stock_of(mug) == (2, 0)

    report(order)
    settle()

    order.refresh_from_db()
    assert (order.status, order.payment_status) == ("confirmed", "paid")
    assert stock_of(mug) == (2, 2)
    kinds = StockMovement.objects.filter(order_id=order.id).order_by("id")
    assert [movement.kind for movement in kinds] == ["reserve", "release", "reserve"]
    assert not Refund.objects.exists()


def test_a_late_payment_reserves_only_what_was_not_cancelled() -> None:
    mug, pot = make_product(stock=3), make_product(stock=3)
    order = place((mug, 3), (pot, 1), token="tok_success")
    _send(order)
    lines = OrderItem.objects.filter(order=order)
    items = [ItemQuantity(order_item_id=line.id, quantity=1) for line in lines.order_by("position")]
    cancel_items(actor=system("tests"), order_id=order.id, items=items)
    expire_orders(at=clock.now() + timedelta(hours=2))

    report(order)
    settle()

    order.refresh_from_db()
    assert order.status == "confirmed"
    assert (stock_of(mug), stock_of(pot)) == ((3, 2), (3, 0))


def test_a_late_payment_of_a_deleted_order_is_refunded() -> None:
    mug, customer = make_product(stock=2), make_customer()
    order = place((mug, 2), customer=customer, token="tok_success")
    _send(order)
    expire_orders(at=clock.now() + timedelta(hours=2))
    delete_order(actor=actor_for(customer), order_id=order.id)

    report(order)
    settle()

    assert stock_of(mug) == (2, 0)
    assert Refund.objects.get(order_id=order.id).amount == order.total


def test_two_late_payments_in_one_batch_share_the_remaining_stock() -> None:
    mug = make_product(stock=2)
    orders = [place((mug, 1), token="tok_success") for _ in range(2)]
    _send(*orders)
    expire_orders(at=clock.now() + timedelta(hours=2))
    place((mug, 1))

    for order in orders:
        report(order)
    settle()

    for order in orders:
        order.refresh_from_db()
    assert [order.status for order in orders] == ["confirmed", "expired"]
    assert stock_of(mug) == (2, 2)
    assert Refund.objects.get().order_id == orders[1].id


@pytest.mark.parametrize("fact", [PaymentBecameUnknown, PaymentVoided])
def test_the_outcome_of_a_superseded_attempt_is_ignored(
    fact: type[PaymentBecameUnknown | PaymentVoided],
) -> None:
    customer = make_customer()
    order = place((make_product(), 1), customer=customer, token="tok_declined")
    first = payment_of(order)
    report(order, ChargeStatus.DECLINED)
    settle()
    pay_order(actor=actor_for(customer), order_id=order.id, choice=CHOICE)

    with transaction.atomic():
        publish(fact(payment_id=first.id, order_id=order.id), actor=PROVIDER)
    settle()

    order.refresh_from_db()
    assert order.payment_status == "processing"


def test_all_payments_that_may_be_refunded_are_locked_before_any_stock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mug = make_product()
    cancelled, expired = (place((mug, 1), token="tok_success") for _ in range(2))
    _send(cancelled, expired)
    cancel_order(actor=actor_for(make_staff()), order_id=cancelled.id)
    expire_orders(at=clock.now() + timedelta(hours=2))
    for order in (cancelled, expired):
        report(order)

    locked: list[set[UUID]] = []

    def noted_lock(order_ids: Iterable[UUID]) -> Sequence[Payment]:
        locked.append(set(order_ids))
        return lock_payments_of_orders(locked[-1])

    def noted_book(product_ids: Iterable[UUID]) -> StockAllocator:
        assert locked == [{cancelled.id, expired.id}]
        return open_stock_allocator(product_ids)

    monkeypatch.setattr(paying, "lock_payments_of_orders", noted_lock)
    monkeypatch.setattr(paying, "open_stock_allocator", noted_book)
    settle()

    cancelled.refresh_from_db()
    expired.refresh_from_db()
    assert (cancelled.status, expired.status) == ("cancelled", "confirmed")


def test_events_of_many_payments_take_as_many_statements_as_one() -> None:
    def statements(count: int) -> int:
        orders = [place((make_product(), 1), token="tok_success") for _ in range(count)]
        failing = [place((make_product(), 1), token="tok_declined") for _ in range(count)]
        for order in orders:
            report(order)
        for order in failing:
            report(order, ChargeStatus.DECLINED)
        with CaptureQueriesContext(connection) as captured:
            settle()
        for order, status in [(o, "paid") for o in orders] + [(o, "failed") for o in failing]:
            order.refresh_from_db()
            assert order.payment_status == status
        return len(captured)

    statements(1)  # which makes the test's offset
    assert statements(50) == statements(1)
