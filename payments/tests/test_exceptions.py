"""Payments and refunds that the shop cannot finish by itself become exceptions."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest
from django.db.models.functions import Now
from pytest_django import Settings

from oms.core.actor import system
from oms.exceptions.models import ExceptionRecord
from oms.queue.leases import retry_policy
from oms.testing.factories import actor_for, make_product, make_staff
from oms.testing.ordering import PROVIDER, payment_of, place, refund_of, result, settle
from payments.gateways.base import ChargeStatus, GatewayRejected, GatewayUnknownOutcome
from payments.gateways.sandbox import SandboxGateway
from payments.models import Payment, Refund
from payments.operations.outcomes import record_charge
from payments.operations.refunds import request_capture
from payments.operations.retrying import retry_now
from payments.tests.processors import charged_order, make_due, process, work

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("gateway")]


def unanswered(method: str) -> Any:
    error = GatewayUnknownOutcome("ReadTimeout")
    return patch.object(SandboxGateway, method, side_effect=error)


def last_attempt(model: Any) -> None:
    model.objects.update(attempts=retry_policy(model).attempts - 1, next_attempt_at=Now())


def kinds(*, is_open: bool = True) -> list[str]:
    rows = ExceptionRecord.objects.filter(resolved_at__isnull=is_open)
    return sorted(rows.values_list("kind", flat=True))


def test_a_payment_without_an_outcome_for_long_is_an_exception_until_there_is_one() -> None:
    payment = payment_of(place((make_product(), 1), token="tok_success"))
    with unanswered("charge"), unanswered("look_up"):
        process(payment, times=2)
        assert kinds() == []

        created = payment.created_at - timedelta(minutes=16)
        Payment.objects.update(created_at=created)
        process(payment, times=2)

    assert kinds() == ["payment_unknown"]
    exception = ExceptionRecord.objects.get()
    assert (exception.order_id, exception.payment_id) == (payment.order_id, payment.id)
    assert exception.operations == ()

    process(payment, times=1)
    assert payment.status == "captured"
    assert kinds() == []


def test_a_payment_that_is_given_up_is_an_exception_until_it_has_an_outcome() -> None:
    payment = payment_of(place((make_product(), 1), token="tok_success"))
    last_attempt(Payment)
    with unanswered("charge"), unanswered("look_up"):
        work()
    assert kinds() == ["payment_stuck"]
    assert "60 attempts" in ExceptionRecord.objects.get().cause

    retry_now(actor=system("tests"), work=payment)
    assert kinds() == ["payment_stuck"]
    work()

    assert kinds() == []
    assert ExceptionRecord.objects.get().resolved_by == "payments"


def test_a_payment_whose_worker_dies_in_the_last_attempt_is_an_exception() -> None:
    payment_of(place((make_product(), 1), token="tok_success"))
    Payment.objects.update(
        attempts=retry_policy(Payment).attempts, lease_until=Now() - timedelta(seconds=1)
    )

    work()

    assert kinds() == ["payment_stuck"]
    assert "died" in ExceptionRecord.objects.get().cause


def test_an_outcome_by_webhook_settles_it_too() -> None:
    payment = payment_of(place((make_product(), 1), token="tok_success"))
    last_attempt(Payment)
    with unanswered("charge"), unanswered("look_up"):
        work()

    declined = result(payment, ChargeStatus.DECLINED)
    record_charge(actor=PROVIDER, payment_id=payment.id, result=declined)

    assert kinds() == []
    assert ExceptionRecord.objects.get().resolved_by == "sandbox"


def test_a_refund_that_is_given_up_is_an_exception_until_it_has_an_outcome() -> None:
    refund = refund_of(payment_of(charged_order()))
    last_attempt(Refund)
    with unanswered("refund"), unanswered("look_up_refund"):
        work()
    assert kinds() == ["refund_stuck"]
    assert ExceptionRecord.objects.get().subject == f"refund:{refund.id}"

    retry_now(actor=system("tests"), work=refund)
    work()

    assert kinds() == []
    refund.refresh_from_db()
    assert refund.status == "succeeded"


def test_a_rejected_capture_is_an_exception_until_it_is_captured(settings: Settings) -> None:
    settings.PAYMENT_CAPTURE = "manual"
    order = place((make_product(), 1), token="tok_success")
    work()
    settle()
    staff, payment = actor_for(make_staff()), payment_of(order)
    request_capture(actor=staff, payment_id=payment.id)
    refusal = GatewayRejected(code="too_late", message="Too late.")
    with patch.object(SandboxGateway, "capture", side_effect=refusal):
        work()
    assert kinds() == ["capture_rejected"]

    request_capture(actor=staff, payment_id=payment.id)
    make_due(payment)
    work()

    assert payment_of(order).status == "captured"
    assert kinds() == []


def test_what_goes_well_raises_and_settles_nothing() -> None:
    order = charged_order()
    refund_of(payment_of(order))
    work()
    settle()

    assert not ExceptionRecord.objects.exists()
