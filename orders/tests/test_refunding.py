"""Refunds and returned items."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from oms.core import clock
from oms.testing.factories import actor_for, make_product, make_staff
from oms.testing.ordering import (
    PROVIDER,
    paid_order,
    payment_of,
    place,
    refund_of,
    report,
    settle,
    status_changes_of,
    stock_of,
)
from orders.operations.cancelling import expire_orders
from orders.operations.refunding import refund_payment
from orders.operations.status_changes import set_order_status
from orders.states import OrderStatus
from payments.errors import RefundExceedsCaptured
from payments.gateways.base import RefundResult
from payments.gateways.base import RefundStatus as RefundOutcome
from payments.models import Payment, Refund
from payments.operations.outcomes import record_refund

pytestmark = pytest.mark.django_db


def succeed(refund: Refund) -> None:
    result = RefundResult(
        status=RefundOutcome.SUCCEEDED,
        provider_reference=f"re_{refund.id}",
        charge_reference="ch",
        amount=refund.amount,
    )
    assert record_refund(actor=PROVIDER, refund_id=refund.id, result=result)


def test_refunds_add_up_to_partially_and_then_wholly_refunded() -> None:
    order = paid_order((make_product(price=Decimal("50.00")), 2))
    payment, staff = payment_of(order), actor_for(make_staff())

    part = refund_of(payment, amount=Decimal("30.00"))
    settle()
    order.refresh_from_db()
    assert order.payment_status == "paid"  # it has not gone yet
    succeed(part)
    settle()
    order.refresh_from_db()
    assert order.payment_status == "partially_refunded"

    rest = refund_of(payment)
    assert rest.amount == Decimal("70.00")
    with pytest.raises(RefundExceedsCaptured) as refusal:
        refund_payment(actor=staff, payment_id=payment.id, amount=Decimal("0.01"))
    assert refusal.value.data == {"captured": "100.00", "refundable": "0.00"}
    succeed(rest)
    settle()

    order.refresh_from_db()
    assert (order.status, order.payment_status) == ("confirmed", "refunded")


def test_a_refund_that_failed_can_be_given_again() -> None:
    order = paid_order((make_product(), 1))
    payment, staff = payment_of(order), actor_for(make_staff())
    refund = refund_of(payment)

    record_refund(
        actor=PROVIDER,
        refund_id=refund.id,
        result=RefundResult(
            status=RefundOutcome.FAILED,
            provider_reference="re",
            charge_reference="ch",
            amount=refund.amount,
        ),
    )
    settle()

    order.refresh_from_db()
    assert order.payment_status == "paid"
    assert refund_payment(actor=staff, payment_id=payment.id).amount == order.total


def test_a_refund_with_restock_returns_the_shipped_units() -> None:
    mug = make_product()
    order = paid_order((mug, 2))
    staff = actor_for(make_staff())
    for status in (OrderStatus.PROCESSING, OrderStatus.SHIPPED):
        set_order_status(actor=staff, order_id=order.id, status=status)
    assert stock_of(mug) == (8, 0)

    for _ in range(2):  # the second time nothing is left to come back
        refund_payment(
            actor=staff, payment_id=payment_of(order).id, amount=Decimal("5.00"), restock=True
        )

    assert stock_of(mug) == (10, 0)
    [item] = order.items.all()
    assert (item.quantity_shipped, item.quantity_returned) == (2, 2)
    assert status_changes_of(order).count("order.items_returned") == 1


def test_a_refund_of_nothing_captured_is_refused() -> None:
    order = place((make_product(), 1), token="tok_success")

    with pytest.raises(RefundExceedsCaptured):
        refund_of(payment_of(order))
    assert not Refund.objects.exists()


def test_a_late_payment_is_refunded_if_the_stock_is_sold() -> None:
    mug = make_product(stock=2)
    order = place((mug, 2), token="tok_success")
    Payment.objects.filter(order_id=order.id).update(status="processing")
    expire_orders(at=clock.now() + timedelta(hours=2))
    place((mug, 1))

    report(order)
    settle()

    order.refresh_from_db()
    assert (order.status, order.payment_status) == ("expired", "paid")
    assert stock_of(mug) == (2, 1)
    refund = Refund.objects.get(order_id=order.id)
    assert refund.amount == order.total
    succeed(refund)
    settle()
    order.refresh_from_db()
    assert order.payment_status == "refunded"
