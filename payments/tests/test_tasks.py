"""The Celery task of payments and refunds."""

from __future__ import annotations

import pytest

from oms.queue.wakeups import hold_wakeups, release_wakeups
from oms.testing.factories import make_product
from oms.testing.ordering import payment_of, place, refund_of, settle
from payments.gateways.base import Gateway
from payments.operations.attempts import PROCESS_TASK
from payments.tasks import process_payments

pytestmark = pytest.mark.django_db


def test_a_worker_processes_all_due_payments_and_refunds(gateway: Gateway) -> None:
    orders = [place((make_product(), 1), token="tok_success") for _ in range(3)]

    process_payments()

    assert [payment_of(order).status for order in orders] == ["captured"] * 3
    settle()
    refund = refund_of(payment_of(orders[0]))
    late = place((make_product(), 1), token="tok_declined")

    process_payments()

    refund.refresh_from_db()
    assert refund.status == "succeeded"
    assert payment_of(late).status == "failed"


def test_a_second_worker_leaves_the_work_to_the_first_until_that_ends(
    gateway: Gateway,
) -> None:
    order = place((make_product(), 1), token="tok_success")
    hold_wakeups(PROCESS_TASK)

    process_payments()
    assert payment_of(order).status == "created"

    release_wakeups(PROCESS_TASK)
    process_payments()
    assert payment_of(order).status == "captured"
