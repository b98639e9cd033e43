"""Concurrent changes of one order: a valid outcome, and payments match it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from functools import partial
from itertools import pairwise

import pytest

from inventory.holdings import holdings_of
from oms.core import clock
from oms.events.models import Event
from oms.testing.factories import actor_for, make_customer, make_product, make_staff
from oms.testing.ordering import (
    PROVIDER,
    outcomes_at_once,
    paid_order,
    payment_of,
    place,
    relay_payment_events,
    report,
    result,
    settle,
    stock_of,
)
from orders.errors import InvalidTransition, OrderNotShippable
from orders.models import Order, OrderItem, Shipment
from orders.operations.cancelling import cancel_order, delete_order, expire_orders
from orders.operations.editing import OrderEdit, edit_order
from orders.operations.fulfilling import ship_items
from orders.operations.refunding import refund_payment
from orders.operations.requesting_payments import pay_order
from orders.placements import OrderedItem, PaymentChoice
from orders.states import ALLOWED, HOLDS_STOCK
from payments.errors import PaymentInProgress, RefundExceedsCaptured
from payments.gateways.base import ChargeStatus
from payments.models import Payment, Refund
from payments.operations.outcomes import record_charge

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


def check(order: Order) -> None:
    """For any winner: transitions are allowed, and stock and payments match the status."""
    order.refresh_from_db()
    steps = Event.objects.filter(object_id=order.id, data__has_key="status").order_by("position")
    statuses = [event.data["status"] for event in steps]
    for previous, status in pairwise(statuses):
        assert status in ALLOWED[previous], statuses
    assert statuses[-1] == order.status
    held = sum(holdings_of([order.id])[order.id].reserved.values())
    left = sum(item.left_to_ship for item in OrderItem.objects.filter(order=order))
    assert held == (left if order.status in HOLDS_STOCK else 0)
    for payment in Payment.objects.filter(order_id=order.id):
        assert payment.refunded_amount <= payment.captured_amount <= payment.amount
        if order.status in ("cancelled", "expired"):
            assert payment.refundable == 0, "money was kept for nothing"


@pytest.mark.parametrize("number", range(6))
def test_cancel_against_capture_against_expiry_has_one_legal_outcome(number: int) -> None:
    customer, mug = make_customer(), make_product(stock=3)
    orders = [place((mug, 1), customer=customer, token="tok_success") for _ in range(3)]
    Payment.objects.update(status="processing")
    late = clock.now() + timedelta(hours=2)

    works: list[Callable[[], object]] = []
    for order in orders:
        payment = payment_of(order)
        said = result(payment)
        works += [
            partial(cancel_order, actor=actor_for(customer), order_id=order.id),
            partial(record_charge, actor=PROVIDER, payment_id=payment.id, result=said),
            relay_payment_events,
        ]
    works += [lambda: expire_orders(at=late)]
    outcomes = outcomes_at_once(works)
    settle()

    unexpected = [
        outcome
        for outcome in outcomes
        if isinstance(outcome, Exception) and not isinstance(outcome, InvalidTransition)
    ]
    assert not unexpected
    for order in orders:
        check(order)
        assert payment_of(order).status == "captured"
        assert order.status in ("cancelled", "expired", "confirmed")
        refunds = Refund.objects.filter(order_id=order.id)
        assert [refund.amount for refund in refunds] == (
            [] if order.status == "confirmed" else [order.total]
        )


def test_paying_and_cancelling_at_once_ends_in_a_refund() -> None:
    customer, mug = make_customer(), make_product(stock=100)
    for _ in range(10):
        order = place((mug, 1), customer=customer, token="tok_success")
        Payment.objects.filter(order_id=order.id).update(status="processing")

        outcomes_at_once(
            [
                partial(report, order),
                partial(cancel_order, actor=actor_for(customer), order_id=order.id),
            ]
        )
        settle()

        check(order)
        assert order.status == "cancelled"
        assert Refund.objects.get(order_id=order.id).amount == order.total
    assert stock_of(mug) == (100, 0)


def test_ship_against_cancel_has_one_winner() -> None:
    customer, mug, staff = make_customer(), make_product(stock=100), actor_for(make_staff())
    winners = set()
    for _ in range(10):
        order = paid_order((mug, 2), customer=customer)

        shipped, cancelled = outcomes_at_once(
            [
                partial(ship_items, actor=staff, order_id=order.id),
                partial(cancel_order, actor=actor_for(customer), order_id=order.id),
            ]
        )

        check(order)
        if isinstance(shipped, Shipment):
            assert isinstance(cancelled, InvalidTransition)
            assert not Refund.objects.filter(order_id=order.id).exists()
        else:
            assert isinstance(shipped, OrderNotShippable)
            assert isinstance(cancelled, Order)
            assert Refund.objects.get(order_id=order.id).amount == order.total
        winners.add(order.status)
    assert winners <= {"shipped", "cancelled"}


def test_twenty_refunds_at_once_never_exceed_what_was_captured() -> None:
    order = paid_order((make_product(price=Decimal("100.00")), 1))
    payment, staff = payment_of(order), actor_for(make_staff())

    outcomes = outcomes_at_once(
        [lambda: refund_payment(actor=staff, payment_id=payment.id, amount=Decimal("15.00"))] * 20
    )

    given = [outcome for outcome in outcomes if isinstance(outcome, Refund)]
    refused = [outcome for outcome in outcomes if isinstance(outcome, RefundExceedsCaptured)]
    assert (len(given), len(refused)) == (6, 14)
    payment.refresh_from_db()
    assert payment.refunded_amount == Decimal("90.00")


def test_ten_attempts_at_paying_at_once_are_one_payment() -> None:
    customer = make_customer()
    order = place((make_product(), 1), customer=customer)
    choice = PaymentChoice(provider="sandbox", token="tok_success")

    outcomes = outcomes_at_once(
        [lambda: pay_order(actor=actor_for(customer), order_id=order.id, choice=choice)] * 10
    )

    assert sum(isinstance(outcome, Payment) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, PaymentInProgress) for outcome in outcomes) == 9
    assert Payment.objects.filter(order_id=order.id).count() == 1


def test_of_contradicting_reports_each_takes_effect_once_at_most() -> None:
    order = place((make_product(), 1), token="tok_success")
    payment = payment_of(order)
    said = [result(payment), result(payment, ChargeStatus.DECLINED)] * 5

    outcomes = outcomes_at_once(
        [partial(record_charge, actor=PROVIDER, payment_id=payment.id, result=one) for one in said]
    )

    # A decline after the capture changes nothing; a capture after the decline is recorded.
    payment.refresh_from_db()
    assert outcomes.count(True) == (2 if payment.status == "failed" else 1)
    assert outcomes.count(True) + outcomes.count(False) == 10
    captured = Payment.objects.filter(order_id=order.id).values_list("captured_amount", flat=True)
    assert sum(captured) == order.total
    settle()
    check(order)


def test_of_concurrent_edits_the_last_one_remains() -> None:
    customer, mug = make_customer(), make_product(stock=100)
    order = place((mug, 1), customer=customer)

    outcomes = outcomes_at_once(
        [
            partial(
                edit_order,
                actor=actor_for(customer),
                order_id=order.id,
                edit=OrderEdit(items=[OrderedItem(product_id=mug.id, quantity=n)]),
            )
            for n in range(2, 10)
        ]
    )

    assert not [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    [item] = OrderItem.objects.filter(order=order)
    assert stock_of(mug) == (100, item.quantity)
    check(order)
    assert (order.version, order.total) == (9, item.quantity * mug.price)


def test_deletes_edits_and_payments_at_once_leave_a_sound_order() -> None:
    customer, mug = make_customer(), make_product(stock=100)
    choice = PaymentChoice(provider="sandbox", token="tok_success")
    actor = actor_for(customer)
    for _ in range(6):
        order = place((mug, 1), customer=customer)

        outcomes_at_once(
            [
                partial(delete_order, actor=actor, order_id=order.id),
                partial(pay_order, actor=actor, order_id=order.id, choice=choice),
                partial(edit_order, actor=actor, order_id=order.id, edit=OrderEdit(note="x")),
            ]
        )

        check(order)
        has_payment = Payment.objects.filter(order_id=order.id).exists()
        assert has_payment == (order.deleted_at is None)
