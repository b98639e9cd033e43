"""Payment workers that die, and the leases that they leave."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any
from unittest.mock import patch

import pytest
from django.db.models.functions import Now

from oms.queue.leases import claim_due, retry_policy
from oms.testing.factories import actor_for, make_product, make_staff
from oms.testing.ordering import payment_of, place
from orders.operations.cancelling import cancel_order
from payments.gateways.base import ChargeResult, GatewayUnknownOutcome
from payments.gateways.sandbox import SandboxGateway
from payments.models import Payment
from payments.operations import processing
from payments.operations.processing import PaymentProcessor
from payments.operations.rescheduling import reschedule_payment
from payments.tests.processors import charges, make_due, process, work
from payments.tests.sandbox_process import SandboxProcess

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("gateway")]


@pytest.mark.parametrize("token", ["tok_success", "tok_timeout_success", "tok_declined"])
def test_a_worker_killed_between_the_response_and_its_record_charges_nobody_twice(
    sandbox: SandboxProcess, token: str
) -> None:
    order = place((make_product(), 1), token=token)
    payment = payment_of(order)

    with (
        patch.object(processing, "record_charges", side_effect=KeyboardInterrupt),
        patch.object(processing, "reschedule_payment", side_effect=KeyboardInterrupt),
        pytest.raises(KeyboardInterrupt),
    ):
        work()
    payment.refresh_from_db()
    assert payment.status == "processing"
    assert not work()  # its lease still holds

    process(payment)

    assert payment.status == ("failed" if token == "tok_declined" else "captured")
    assert [key for key, _ in charges(sandbox, order)] == [str(payment.id)]


def test_a_worker_killed_during_a_batch_charges_nobody_twice(sandbox: SandboxProcess) -> None:
    tokens = ["tok_success", "tok_declined", "tok_error_then_success"] * 4
    orders = [place((make_product(), 1), token=token) for token in tokens]

    with (
        patch.object(processing, "record_charges", side_effect=KeyboardInterrupt),
        pytest.raises(KeyboardInterrupt),
    ):
        work()
    assert not Payment.objects.filter(status__in=["captured", "failed"]).exists()
    for order in orders:
        process(payment_of(order))

    assert [payment_of(order).status for order in orders] == ["captured", "failed", "captured"] * 4
    for order in orders:
        assert [key for key, _ in charges(sandbox, order)] == [str(payment_of(order).id)]


@pytest.mark.parametrize(
    "changes", [{"provider_reference": "x" * 101}, {"captured_amount": Decimal("NaN")}]
)
def test_a_result_that_cannot_be_stored_does_not_hold_up_other_payments(
    sandbox: SandboxProcess, changes: dict[str, Any]
) -> None:
    orders = [place((make_product(), 1), token="tok_success") for _ in range(3)]
    bad = payment_of(orders[1])
    charge = SandboxGateway.charge

    def charge_badly(gateway: SandboxGateway, **charged: Any) -> ChargeResult:
        result = charge(gateway, **charged)
        return replace(result, **changes) if charged["key"] == str(bad.id) else result

    with patch.object(SandboxGateway, "charge", charge_badly):
        work()

    assert [payment_of(order).status for order in orders] == ["captured", "unknown", "captured"]
    process(bad, times=1)
    assert bad.status == "captured"
    assert charges(sandbox, orders[1]) == [(str(bad.id), "captured")]


def test_an_error_text_that_cannot_be_stored_does_not_prevent_the_retry() -> None:
    payment = payment_of(place((make_product(), 1), token="tok_success"))

    error = GatewayUnknownOutcome("The provider answered 500 \x00")
    with patch.object(SandboxGateway, "charge", side_effect=error):
        work()

    payment.refresh_from_db()
    assert (payment.status, payment.last_error) == ("unknown", "The provider answered 500 ")
    assert process(payment, times=1).status == "captured"


def test_a_worker_killed_before_the_call_leaves_the_charge_to_the_next(
    sandbox: SandboxProcess,
) -> None:
    order = place((make_product(), 1), token="tok_success")
    payment = payment_of(order)
    with (
        patch.object(ThreadPoolExecutor, "submit", side_effect=KeyboardInterrupt),
        pytest.raises(KeyboardInterrupt),
    ):
        work()
    assert charges(sandbox, order) == []

    process(payment, times=1)

    assert payment.status == "captured"
    assert charges(sandbox, order) == [(str(payment.id), "captured")]


def test_a_worker_whose_lease_expired_does_not_overwrite_the_next_ones_outcome(
    sandbox: SandboxProcess,
) -> None:
    order = place((make_product(), 1), token="tok_success")
    payment = payment_of(order)
    [slow] = claim_due(Payment, limit=1)
    make_due(payment)
    process(payment, times=1)
    assert (payment.status, payment.fencing_token) == ("captured", slow.fencing_token + 1)
    # As if the second worker had got no response either.
    Payment.objects.update(status="processing", captured_amount=0, next_attempt_at=Now())

    reschedule_payment(payment=slow, error=RuntimeError("too late"), actor=actor_for(make_staff()))

    payment.refresh_from_db()
    assert (payment.status, payment.last_error) == ("processing", "")


def test_a_claimed_payment_is_claimed_by_no_other_worker() -> None:
    place((make_product(), 1), token="tok_success")

    [first] = claim_due(Payment, limit=5)

    assert (first.attempts, first.fencing_token) == (1, 1)
    assert Payment.objects.get().lease_until is not None
    assert claim_due(Payment, limit=5) == []
    Payment.objects.update(lease_until=Now() - timedelta(seconds=1))
    [second] = claim_due(Payment, limit=5)
    assert (second.attempts, second.fencing_token) == (2, 2)


def test_a_payment_that_kills_its_workers_is_left_to_staff(
    sandbox: SandboxProcess,
) -> None:
    order = place((make_product(), 1), token="tok_success")
    Payment.objects.update(
        attempts=retry_policy(Payment).attempts,
        status="processing",
        lease_until=Now() - timedelta(seconds=1),
    )

    assert not work()

    payment = payment_of(order)
    assert (payment.status, payment.next_attempt_at, payment.lease_until) == (
        "processing",
        None,
        None,
    )
    assert payment.last_error
    assert charges(sandbox, order) == []


def test_a_payment_cancelled_before_it_is_claimed_is_never_charged(
    sandbox: SandboxProcess,
) -> None:
    order = place((make_product(), 1), token="tok_success")

    cancel_order(actor=actor_for(make_staff()), order_id=order.id)

    assert not work()
    assert payment_of(order).status == "voided"
    assert charges(sandbox, order) == []


def test_a_payment_cancelled_during_the_call_is_left_to_its_outcome() -> None:
    order = place((make_product(), 1), token="tok_success")
    processor, charge, ends = PaymentProcessor(), SandboxGateway.charge, threading.Event()

    def charge_slowly(gateway: SandboxGateway, **charged: Any) -> ChargeResult:
        ends.wait(10)
        return charge(gateway, **charged)

    with patch.object(SandboxGateway, "charge", charge_slowly):
        assert processor.work()
        cancel_order(actor=actor_for(make_staff()), order_id=order.id)
        assert payment_of(order).status == "processing"
        ends.set()
        processor.finish()

    assert payment_of(order).status == "captured"
