"""The payment worker and the real sandbox provider: one charge a payment, whatever fails."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from unittest.mock import patch

import pytest
from django.db.models.functions import Now
from pytest_django import Settings

from oms.core.leases import claim_next
from oms.testing.factories import actor_for, make_product, make_staff
from oms.testing.ordering import paid_order, payment_of, place, settle
from orders.models import Order
from orders.operations.cancelling import cancel_order
from orders.operations.refunding import refund_payment
from payments.gateways.base import Gateway
from payments.models import Payment, Refund
from payments.operations import making
from payments.operations.giving_back import request_capture
from payments.operations.making import (
    LEASE,
    MAX_ATTEMPTS,
    make_next_payment,
    make_next_refund,
    retry_now,
)
from payments.tests.sandbox_process import SandboxProcess

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _provider(gateway: Gateway, settings: Settings) -> None:
    settings.GATEWAY_READ_TIMEOUT = 0.9


def charges(sandbox: SandboxProcess, order: Order) -> list[tuple[str, str]]:
    """The provider's own charges for the order: their keys and statuses."""
    return sandbox.rows(
        "SELECT idempotency_key, status FROM charges WHERE reference = ?", str(order.id)
    )


def make_due(payment: Payment) -> None:
    """Let the time pass after which the payment is tried again."""
    Payment.objects.filter(pk=payment.pk).update(next_attempt_at=Now(), lease_until=None)


def work_off(payment: Payment, *, times: int = 4) -> Payment:
    """Let a worker come by that often, each time when the payment is due if ever."""
    for _ in range(times):
        if payment.next_attempt_at is not None:
            make_due(payment)
        make_next_payment()
        payment.refresh_from_db()
    return payment


@pytest.mark.parametrize(
    ("token", "status", "attempts"),
    [
        ("tok_success", "captured", 1),
        ("tok_declined", "failed", 1),
        ("tok_insufficient_funds", "failed", 1),
        ("tok_error_then_success", "captured", 2),
        ("tok_timeout_success", "captured", 2),
        ("tok_timeout_declined", "failed", 2),
        ("tok_slow", "captured", 1),
        ("tok_duplicate_webhook", "captured", 1),
    ],
)
def test_each_token_ends_as_it_should_with_one_charge(
    sandbox: SandboxProcess, token: str, status: str, attempts: int
) -> None:
    order = place((make_product(), 1), token=token)
    payment = payment_of(order)
    seen = []

    for _ in range(attempts):
        make_due(payment)
        assert make_next_payment()
        payment.refresh_from_db()
        seen.append(payment.status)

    assert seen == ["unknown"] * (attempts - 1) + [status]
    assert not make_next_payment()
    assert payment.next_attempt_at is None
    provider = {"captured": "captured", "failed": "declined"}[status]
    assert charges(sandbox, order) == [(str(payment.id), provider)]
    settle()
    order.refresh_from_db()
    assert (order.status, order.payment_status) == (
        ("confirmed", "paid") if status == "captured" else ("pending", "failed")
    )


def test_a_token_that_the_provider_does_not_know_fails_the_payment(
    sandbox: SandboxProcess,
) -> None:
    order = place((make_product(), 1), token="tok_of_nobody")

    make_next_payment()

    payment = payment_of(order)
    assert (payment.status, payment.failure_code) == ("failed", "unknown_token")
    assert charges(sandbox, order) == []


def test_while_its_outcome_is_unknown_the_order_says_so(sandbox: SandboxProcess) -> None:
    order = place((make_product(), 1), token="tok_timeout_success")

    make_next_payment()
    settle()

    order.refresh_from_db()
    assert (order.status, order.payment_status) == ("pending", "unknown")
    payment = payment_of(order)
    assert payment.next_attempt_at is not None
    assert payment.lease_until is None
    assert "ReadTimeout" in payment.last_error


@pytest.mark.parametrize("token", ["tok_success", "tok_timeout_success", "tok_declined"])
def test_a_worker_killed_between_the_answer_and_its_record_charges_nobody_twice(
    sandbox: SandboxProcess, token: str
) -> None:
    order = place((make_product(), 1), token=token)
    payment = payment_of(order)

    with (
        patch.object(making, "record_charge", side_effect=KeyboardInterrupt),
        patch.object(making, "_postpone_payment", side_effect=KeyboardInterrupt),
        pytest.raises(KeyboardInterrupt),
    ):
        make_next_payment()
    payment.refresh_from_db()
    assert payment.status == "processing"
    assert not make_next_payment()  # its lease still holds

    work_off(payment)

    assert payment.status == ("failed" if token == "tok_declined" else "captured")
    assert [key for key, _ in charges(sandbox, order)] == [str(payment.id)]


def test_a_worker_killed_before_the_call_leaves_the_charge_to_the_next(
    sandbox: SandboxProcess,
) -> None:
    order = place((make_product(), 1), token="tok_success")
    payment = payment_of(order)
    with (
        patch.object(making, "_step", side_effect=KeyboardInterrupt),
        pytest.raises(KeyboardInterrupt),
    ):
        make_next_payment()
    assert charges(sandbox, order) == []

    work_off(payment, times=1)

    assert payment.status == "captured"
    assert charges(sandbox, order) == [(str(payment.id), "captured")]


def test_a_worker_whose_lease_ran_out_does_not_write_over_its_successor(
    sandbox: SandboxProcess,
) -> None:
    order = place((make_product(), 1), token="tok_success")
    payment = payment_of(order)
    slow = claim_next(Payment, lease=LEASE)
    assert slow is not None
    making._begin(slow)
    work_off(payment, times=1)
    assert (payment.status, payment.fencing_token) == ("captured", slow.fencing_token + 1)

    slow.refresh_from_db(fields=["status"])
    slow.status = "processing"
    making._postpone_payment(slow, RuntimeError("too late"), actor=making._actor(slow))

    payment.refresh_from_db()
    assert (payment.status, payment.next_attempt_at, payment.last_error) == ("captured", None, "")


def test_a_claimed_payment_is_nobody_elses(sandbox: SandboxProcess) -> None:
    place((make_product(), 1), token="tok_success")

    first = claim_next(Payment, lease=LEASE)

    assert first is not None
    assert (first.attempts, first.fencing_token) == (1, 1)
    assert first.lease_until is not None
    assert claim_next(Payment, lease=LEASE) is None
    Payment.objects.update(lease_until=Now() - timedelta(seconds=1))
    second = claim_next(Payment, lease=LEASE)
    assert second is not None
    assert (second.attempts, second.fencing_token) == (2, 2)


def test_a_payment_cancelled_before_the_call_is_never_charged(sandbox: SandboxProcess) -> None:
    order = place((make_product(), 1), token="tok_success")
    claimed = claim_next(Payment, lease=LEASE)
    assert claimed is not None

    cancel_order(actor=actor_for(make_staff()), order_id=order.id)

    assert not making._begin(claimed)
    assert not make_next_payment()
    assert payment_of(order).status == "voided"
    assert charges(sandbox, order) == []


def test_a_provider_that_cannot_be_reached_is_asked_again_later(settings: Settings) -> None:
    settings.SANDBOX_PROVIDER_URL = "http://127.0.0.1:9"
    order = place((make_product(), 1), token="tok_success")

    assert make_next_payment()

    payment = payment_of(order)
    assert (payment.status, payment.attempts) == ("unknown", 1)
    assert payment.next_attempt_at is not None
    assert not make_next_payment()


def test_after_many_attempts_a_person_has_to_look_and_can_try_again(
    settings: Settings, sandbox: SandboxProcess
) -> None:
    order = place((make_product(), 1), token="tok_success")
    payment = payment_of(order)
    settings.SANDBOX_PROVIDER_URL = "http://127.0.0.1:9"
    Payment.objects.filter(pk=payment.pk).update(attempts=MAX_ATTEMPTS - 1)
    make_next_payment()
    payment.refresh_from_db()
    assert (payment.status, payment.next_attempt_at) == ("unknown", None)
    assert payment.last_error

    settings.SANDBOX_PROVIDER_URL = sandbox.url
    retry_now(work=payment)
    assert make_next_payment()

    payment.refresh_from_db()
    assert payment.status == "captured"
    assert charges(sandbox, order) == [(str(payment.id), "captured")]


def test_wrong_credentials_are_no_unknown_outcome(settings: Settings) -> None:
    settings.SANDBOX_API_KEY = "wrong"
    order = place((make_product(), 1), token="tok_success")

    make_next_payment()

    payment = payment_of(order)
    assert (payment.status, payment.attempts) == ("processing", 1)
    assert payment.next_attempt_at is not None


def charged_order() -> Order:
    order = place((make_product(price=Decimal("50.00")), 1), token="tok_success")
    make_next_payment()
    settle()
    order.refresh_from_db()
    assert order.status == "confirmed"
    return order


def test_a_refund_reaches_the_provider_and_comes_back_as_news(sandbox: SandboxProcess) -> None:
    order = charged_order()
    payment = payment_of(order)
    refund = refund_payment(
        actor=actor_for(make_staff()), payment_id=payment.id, amount=Decimal("20.00")
    )

    assert make_next_refund()
    assert not make_next_refund()
    settle()

    refund.refresh_from_db()
    assert refund.status == "succeeded"
    assert sandbox.rows(
        "SELECT refunded_amount FROM charges WHERE idempotency_key = ?", str(payment.id)
    ) == [(2000,)]
    order.refresh_from_db()
    assert order.payment_status == "partially_refunded"


def test_a_worker_killed_after_refunding_refunds_once(sandbox: SandboxProcess) -> None:
    order = charged_order()
    refund = refund_payment(actor=actor_for(make_staff()), payment_id=payment_of(order).id)
    with (
        patch.object(making, "record_refund", side_effect=KeyboardInterrupt),
        pytest.raises(KeyboardInterrupt),
    ):
        make_next_refund()

    Refund.objects.filter(pk=refund.pk).update(lease_until=None)
    assert make_next_refund()

    refund.refresh_from_db()
    assert refund.status == "succeeded"
    [(count,)] = sandbox.rows(
        "SELECT count(*) FROM refunds WHERE idempotency_key = ?", str(refund.id)
    )
    assert count == 1


def test_a_refund_without_an_answer_is_unknown_and_looked_up(
    sandbox: SandboxProcess, settings: Settings
) -> None:
    order = charged_order()
    refund = refund_payment(actor=actor_for(make_staff()), payment_id=payment_of(order).id)
    settings.SANDBOX_PROVIDER_URL = "http://127.0.0.1:9"
    make_next_refund()
    refund.refresh_from_db()
    assert refund.status == "unknown"

    settings.SANDBOX_PROVIDER_URL = sandbox.url
    retry_now(work=refund)
    make_next_refund()

    refund.refresh_from_db()
    assert refund.status == "succeeded"


def test_a_refund_that_fails_gives_its_amount_back_to_what_can_be_refunded() -> None:
    order = place((make_product(), 1), token="tok_refund_fails")
    make_next_payment()
    settle()
    payment = payment_of(order)
    refund = refund_payment(actor=actor_for(make_staff()), payment_id=payment.id)

    make_next_refund()

    refund.refresh_from_db()
    payment.refresh_from_db()
    assert refund.status == "failed"
    assert payment.refundable == payment.amount


def test_a_refund_that_the_provider_refuses_fails() -> None:
    order = paid_order((make_product(), 1))  # captured here, but not at the provider
    refund = refund_payment(actor=actor_for(make_staff()), payment_id=payment_of(order).id)

    make_next_refund()

    refund.refresh_from_db()
    assert refund.status == "failed"
    assert refund.failure_code


@pytest.mark.parametrize("ship", [True, False])
def test_an_authorised_payment_is_captured_or_let_go(
    sandbox: SandboxProcess, settings: Settings, ship: bool
) -> None:
    settings.PAYMENT_CAPTURE = "manual"
    order = place((make_product(), 1), token="tok_success")
    make_next_payment()
    settle()
    assert payment_of(order).status == "authorized"
    staff = actor_for(make_staff())

    if ship:
        request_capture(actor=staff, payment_id=payment_of(order).id)
    else:
        cancel_order(actor=staff, order_id=order.id)
    assert make_next_payment()
    settle()

    assert charges(sandbox, order)[0][1] == ("captured" if ship else "voided")
