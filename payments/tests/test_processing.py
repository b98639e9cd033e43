"""The payment worker and the real sandbox provider: one charge per payment despite failures."""

from __future__ import annotations

import threading
import time
from typing import Any
from unittest.mock import patch

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from oms.core.actor import system
from oms.queue.leases import retry_policy
from oms.testing.factories import make_product
from oms.testing.ordering import payment_of, place, settle
from payments.gateways.base import ChargeResult, GatewayRejected
from payments.gateways.sandbox import SandboxGateway
from payments.models import Payment
from payments.operations.processing import PaymentProcessor
from payments.operations.retrying import retry_now
from payments.tests.processors import NOWHERE, charged_order, charges, make_due, work
from payments.tests.sandbox_process import SandboxProcess

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("gateway")]


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
        assert work()
        payment.refresh_from_db()
        seen.append(payment.status)

    assert seen == ["unknown"] * (attempts - 1) + [status]
    assert not work()
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
    order = place((make_product(), 1), token="tok_not_known")

    work()

    payment = payment_of(order)
    assert (payment.status, payment.failure_code) == ("failed", "unknown_token")
    assert charges(sandbox, order) == []


def test_an_unknown_outcome_is_shown_in_the_order(sandbox: SandboxProcess) -> None:
    order = place((make_product(), 1), token="tok_timeout_success")

    work()
    settle()

    order.refresh_from_db()
    assert (order.status, order.payment_status) == ("pending", "unknown")
    payment = payment_of(order)
    assert payment.next_attempt_at is not None
    assert payment.lease_until is None
    assert "ReadTimeout" in payment.last_error


def test_payments_are_retried_while_the_provider_cannot_be_reached(settings: Settings) -> None:
    settings.SANDBOX_PROVIDER_URL = NOWHERE
    order = place((make_product(), 1), token="tok_success")

    assert work()

    payment = payment_of(order)
    assert (payment.status, payment.attempts) == ("unknown", 1)
    assert payment.next_attempt_at is not None
    assert not work()


def test_after_the_last_attempt_staff_can_retry(
    settings: Settings, sandbox: SandboxProcess
) -> None:
    order = place((make_product(), 1), token="tok_success")
    payment = payment_of(order)
    settings.SANDBOX_PROVIDER_URL = NOWHERE
    Payment.objects.filter(pk=payment.pk).update(attempts=retry_policy(Payment).attempts - 1)
    work()
    payment.refresh_from_db()
    assert (payment.status, payment.next_attempt_at) == ("unknown", None)
    assert payment.last_error

    settings.SANDBOX_PROVIDER_URL = sandbox.url
    retry_now(actor=system("tests"), work=payment)
    assert work()

    payment.refresh_from_db()
    assert payment.status == "captured"
    assert charges(sandbox, order) == [(str(payment.id), "captured")]


def test_wrong_credentials_are_no_unknown_outcome(settings: Settings) -> None:
    settings.SANDBOX_API_KEY = "wrong"
    order = place((make_product(), 1), token="tok_success")

    work()

    payment = payment_of(order)
    assert (payment.status, payment.attempts) == ("processing", 1)
    assert payment.next_attempt_at is not None


def test_a_rejected_look_up_leaves_the_charge_unknown(sandbox: SandboxProcess) -> None:
    order = place((make_product(), 1), token="tok_timeout_success")
    payment = payment_of(order)
    work()  # charged, but without a response
    make_due(payment)

    refusal = GatewayRejected(code="invalid_query", message="Not like this.")
    with patch.object(SandboxGateway, "look_up", side_effect=refusal):
        work()

    payment.refresh_from_db()
    assert payment.status == "unknown"
    assert payment.next_attempt_at is not None
    assert charges(sandbox, order) == [(str(payment.id), "captured")]


def test_an_unexpected_error_in_one_call_leaves_it_unknown_and_the_others_alone() -> None:
    broken, whole = (place((make_product(), 1), token="tok_success") for _ in range(2))
    charge = SandboxGateway.charge

    def charge_or_break(gateway: SandboxGateway, **charged: Any) -> object:
        if charged["reference"] == str(broken.id):
            raise ZeroDivisionError
        return charge(gateway, **charged)

    with patch.object(SandboxGateway, "charge", charge_or_break):
        work()

    assert payment_of(broken).status == "unknown"
    assert payment_of(broken).next_attempt_at is not None
    assert payment_of(whole).status == "captured"


def test_a_payment_with_a_known_outcome_is_not_retried() -> None:
    order = charged_order()

    retry_now(actor=system("tests"), work=payment_of(order))

    assert payment_of(order).next_attempt_at is None
    assert not work()


def test_a_slow_call_does_not_delay_the_others() -> None:
    slow = place((make_product(), 1), token="tok_timeout_success")  # a second without an answer
    processor = PaymentProcessor()
    assert processor.work()
    quick = place((make_product(), 1), token="tok_success")
    began = time.monotonic()

    while payment_of(quick).status != "captured" and time.monotonic() - began < 5:
        processor.work()

    assert payment_of(slow).status == "processing"
    processor.finish()
    assert payment_of(slow).status == "unknown"


def test_an_endless_call_does_not_hold_up_the_worker_and_is_recorded_when_it_ends() -> None:
    order = place((make_product(), 1), token="tok_success")
    processor, charge, ends = PaymentProcessor(), SandboxGateway.charge, threading.Event()

    def charge_slowly(gateway: SandboxGateway, **charged: Any) -> ChargeResult:
        ends.wait(10)
        return charge(gateway, **charged)

    with patch.object(SandboxGateway, "charge", charge_slowly):
        processor.work()
        started = time.monotonic()
        processor.finish(seconds=0.1)
        assert time.monotonic() - started < 5
        assert payment_of(order).status == "processing"
        ends.set()
        processor.finish()

    assert payment_of(order).status == "captured"


def test_many_payments_take_as_many_statements_as_one() -> None:
    def statements(count: int) -> int:
        orders = [place((make_product(), 1), token="tok_success") for _ in range(count)]
        processor = PaymentProcessor()
        processor.batch_seconds = 5.0
        with CaptureQueriesContext(connection) as captured:
            processor.work()
        assert [payment_of(order).status for order in orders] == ["captured"] * count
        return len(captured)

    assert statements(1) == statements(50)


def test_long_texts_of_a_provider_are_cut(sandbox: SandboxProcess) -> None:
    place((make_product(), 1), token="tok_success")
    refusal = GatewayRejected(code="c" * 100, message="m" * 1000)

    with patch.object(SandboxGateway, "charge", side_effect=refusal):
        work()

    payment = Payment.objects.get()
    assert payment.status == "failed"
    assert (payment.failure_code, payment.failure_message) == ("c" * 64, "m" * 500)
