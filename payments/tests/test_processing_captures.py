"""Captures and voids of authorized payments by the payment worker."""

from __future__ import annotations

from threading import Event
from typing import Any
from unittest.mock import patch

import pytest
from pytest_django import Settings

from oms.core.actor import system
from oms.events.models import Event as Logged
from oms.exceptions.models import ExceptionRecord
from oms.testing.factories import actor_for, make_product, make_staff
from oms.testing.ordering import payment_of, place, refund_of, settle
from orders.models import Order
from orders.operations.cancelling import cancel_order
from payments.gateways.base import GatewayRejected, GatewayUnknownOutcome
from payments.gateways.sandbox import SandboxGateway
from payments.operations.processing import PaymentProcessor
from payments.operations.refunds import request_capture, request_void
from payments.operations.retrying import retry_now
from payments.tests.processors import charges, work
from payments.tests.sandbox_process import SandboxProcess

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("gateway")]


def authorized_order() -> Order:
    order = place((make_product(), 1), token="tok_success")
    work()
    settle()
    assert payment_of(order).status == "authorized"
    return order


@pytest.mark.parametrize("ship", [True, False])
def test_an_authorized_payment_is_captured_or_voided(
    sandbox: SandboxProcess, settings: Settings, ship: bool
) -> None:
    settings.PAYMENT_CAPTURE = "manual"
    order = authorized_order()
    staff = actor_for(make_staff())

    if ship:
        request_capture(actor=staff, payment_id=payment_of(order).id)
    else:
        cancel_order(actor=staff, order_id=order.id)
    assert work()
    settle()

    assert charges(sandbox, order)[0][1] == ("captured" if ship else "voided")


def test_a_void_after_a_capture_without_response_becomes_a_refund(
    sandbox: SandboxProcess, settings: Settings
) -> None:
    settings.PAYMENT_CAPTURE = "manual"
    order = authorized_order()
    staff = actor_for(make_staff())
    request_capture(actor=staff, payment_id=payment_of(order).id)
    capture = SandboxGateway.capture

    def capture_without_response(gateway: SandboxGateway, **captured: Any) -> None:
        capture(gateway, **captured)
        raise GatewayUnknownOutcome("ReadTimeout")

    with patch.object(SandboxGateway, "capture", capture_without_response):
        work()
    assert payment_of(order).status == "authorized"

    cancel_order(actor=staff, order_id=order.id)
    work()
    settle()
    work()

    payment = payment_of(order)
    assert (payment.status, payment.refundable) == ("captured", 0)
    assert sandbox.rows(
        "SELECT captured_amount = refunded_amount FROM charges WHERE idempotency_key = ?",
        str(payment.id),
    ) == [(1,)]


def test_a_rejected_capture_leaves_the_payment_authorized_for_staff(
    sandbox: SandboxProcess, settings: Settings
) -> None:
    settings.PAYMENT_CAPTURE = "manual"
    order = authorized_order()
    request_capture(actor=actor_for(make_staff()), payment_id=payment_of(order).id)

    refusal = GatewayRejected(code="too_late", message="Too late.")
    with patch.object(SandboxGateway, "capture", side_effect=refusal):
        work()

    payment = payment_of(order)
    assert (payment.status, payment.requested_action, payment.next_attempt_at) == (
        "authorized",
        "",
        None,
    )
    assert payment.last_error == "too_late: Too late."
    assert charges(sandbox, order)[0][1] == "authorized"


def test_a_void_requested_during_a_capture_that_is_rejected_is_made(
    sandbox: SandboxProcess, settings: Settings
) -> None:
    settings.PAYMENT_CAPTURE = "manual"
    order = authorized_order()
    staff = actor_for(make_staff())
    request_capture(actor=staff, payment_id=payment_of(order).id)
    processor = PaymentProcessor()
    called, cancelled = Event(), Event()

    def reject(gateway: SandboxGateway, **captured: Any) -> None:
        called.set()
        assert cancelled.wait(10)
        raise GatewayRejected(code="too_late", message="Too late.")

    with patch.object(SandboxGateway, "capture", reject):
        processor.work()
        assert called.wait(10)
        cancel_order(actor=staff, order_id=order.id)
        cancelled.set()
        processor.finish()
    assert payment_of(order).requested_action == "void"
    work()
    settle()

    assert charges(sandbox, order)[0][1] == "voided"
    assert payment_of(order).status == "voided"
    assert not ExceptionRecord.objects.filter(resolved_at=None).exists()


@pytest.mark.parametrize("is_capture", [True, False])
def test_the_log_says_who_requested_a_capture_or_a_void(
    settings: Settings, is_capture: bool
) -> None:
    settings.PAYMENT_CAPTURE = "manual"
    payment, staff = payment_of(authorized_order()), make_staff()

    request = request_capture if is_capture else request_void
    request(actor=actor_for(staff), payment_id=payment.id)

    name = "payment.capture_requested" if is_capture else "payment.void_requested"
    event = Logged.objects.get(type=name)
    assert (event.object_id, event.actor_id) == (payment.id, staff.id)
    assert event.data["order_id"] == str(payment.order_id)


def test_the_log_says_who_retried_what() -> None:
    payment, staff = payment_of(place((make_product(), 1), token="tok_success")), make_staff()

    retry_now(actor=actor_for(staff), work=payment)
    work()
    settle()
    refund = refund_of(payment_of(Order.objects.get()))
    retry_now(actor=actor_for(staff), work=refund)
    work()
    refund.refresh_from_db()
    retry_now(actor=actor_for(staff), work=refund)  # it has succeeded

    retried = Logged.objects.filter(type__endswith="retry_requested").order_by("position")
    assert [(event.object_id, event.actor_id) for event in retried] == [
        (payment.id, staff.id),
        (refund.id, staff.id),
    ]


def test_retrying_an_authorized_payment_does_not_void_it(
    sandbox: SandboxProcess, settings: Settings
) -> None:
    settings.PAYMENT_CAPTURE = "manual"
    order = authorized_order()

    retry_now(actor=system("tests"), work=payment_of(order))

    assert not work()
    assert charges(sandbox, order)[0][1] == "authorized"
