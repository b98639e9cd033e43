"""What workers do about payments."""

from __future__ import annotations

import pytest

from oms.queue.wakeups import stay_awake, woken
from oms.testing.factories import actor_for, make_product, make_staff
from oms.testing.ordering import payment_of, place, settle
from orders.operations.refunding import refund_payment
from payments.gateways.base import Gateway
from payments.operations.attempts import DRAIN_TASK
from payments.tasks import drain_payments

pytestmark = pytest.mark.django_db


def test_a_worker_makes_all_that_is_due_refunds_and_payments(gateway: Gateway) -> None:
    orders = [place((make_product(), 1), token="tok_success") for _ in range(3)]

    drain_payments()

    assert [payment_of(order).status for order in orders] == ["captured"] * 3
    settle()
    refund = refund_payment(actor=actor_for(make_staff()), payment_id=payment_of(orders[0]).id)
    late = place((make_product(), 1), token="tok_declined")

    drain_payments()

    refund.refresh_from_db()
    assert refund.status == "succeeded"
    assert payment_of(late).status == "failed"


def test_a_second_worker_leaves_the_work_to_the_first_and_takes_over_where_that_ends(
    gateway: Gateway,
) -> None:
    order = place((make_product(), 1), token="tok_success")
    stay_awake(DRAIN_TASK)

    drain_payments()
    assert payment_of(order).status == "created"

    woken(DRAIN_TASK)
    drain_payments()
    assert payment_of(order).status == "captured"
