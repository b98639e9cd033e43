"""A provider that is away for a while, and calls that take longer than a lease."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest
from django.db.models import F
from django.db.models.functions import Now
from pytest_django import Settings

from oms.testing.factories import make_product
from oms.testing.ordering import payment_of, place, refund_of, report
from orders.models import Order
from payments.gateways.base import ChargeResult
from payments.gateways.sandbox import SandboxGateway
from payments.models import Payment, Refund
from payments.operations.processing import MAX_CONCURRENT_CALLS, PaymentProcessor
from payments.tests.processors import NOWHERE
from payments.tests.sandbox_process import SandboxProcess

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("gateway")]


def place_orders(count: int) -> list[Order]:
    product = make_product(stock=count)
    return [place((product, 1), token="tok_success") for _ in range(count)]


def test_while_the_provider_is_away_the_backlog_uses_up_no_attempts(
    settings: Settings, sandbox: SandboxProcess
) -> None:
    settings.SANDBOX_PROVIDER_URL = NOWHERE
    place_orders(MAX_CONCURRENT_CALLS + 40)
    processor = PaymentProcessor()
    processor.batch_seconds = 5.0

    for _ in range(10):
        processor.work()

    attempted = Payment.objects.filter(attempts__gt=0).count()
    assert MAX_CONCURRENT_CALLS <= attempted <= MAX_CONCURRENT_CALLS + 2
    assert not Payment.objects.filter(attempts__gt=1).exists()

    settings.SANDBOX_PROVIDER_URL = sandbox.url
    Payment.objects.update(next_attempt_at=Now())
    processor._breakers[Payment]._next_call = 0.0
    steps = 0
    while processor.work():
        steps += 1
    assert steps <= 4
    assert not Payment.objects.exclude(status="captured").exists()


def test_refunds_that_fail_keep_no_charge_from_being_made() -> None:
    for order in place_orders(20):
        report(order)
        refund_of(payment_of(order))
    processor = PaymentProcessor()
    processor.batch_seconds = 5.0

    with patch.object(SandboxGateway, "refund", side_effect=TimeoutError):
        processor.work()
        [order] = place_orders(1)
        processor.work()

    assert Refund.objects.filter(status="unknown").count() == 20
    assert payment_of(order).status == "captured"


def test_a_new_payment_does_not_wait_behind_a_backlog() -> None:
    place_orders(2 * MAX_CONCURRENT_CALLS)
    Payment.objects.update(
        status="unknown", attempts=3, next_attempt_at=Now() - timedelta(seconds=30)
    )
    [order] = place_orders(1)
    processor = PaymentProcessor()
    processor.batch_seconds = 5.0

    assert processor.work() == MAX_CONCURRENT_CALLS

    assert payment_of(order).status == "captured"
    assert Payment.objects.filter(status="captured").count() == MAX_CONCURRENT_CALLS


def test_the_lease_of_a_call_in_flight_is_renewed() -> None:
    [order] = place_orders(1)
    processor, charge, ends = PaymentProcessor(), SandboxGateway.charge, threading.Event()

    def charge_slowly(gateway: SandboxGateway, **charged: Any) -> ChargeResult:
        ends.wait(10)
        return charge(gateway, **charged)

    with patch.object(SandboxGateway, "charge", charge_slowly):
        processor.work()
        Payment.objects.update(lease_until=Now() + timedelta(seconds=1))
        processor._renewed_at = 0.0

        processor.work()

        row = Payment.objects.annotate(left=F("lease_until") - Now()).get()
        assert row.left > timedelta(seconds=15)
        ends.set()
        processor.finish()
    assert payment_of(order).status == "captured"
