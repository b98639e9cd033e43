"""Refunds by the payment worker at the real sandbox provider."""

from __future__ import annotations

from decimal import Decimal
from unittest.mock import patch

import pytest
from pytest_django import Settings

from oms.core.actor import system
from oms.queue.leases import retry_policy
from oms.testing.factories import make_product
from oms.testing.faults import refused_rows
from oms.testing.ordering import paid_order, payment_of, refund_of, settle
from payments.gateways.base import GatewayRejected
from payments.gateways.sandbox import SandboxGateway
from payments.models import Refund
from payments.operations import processing
from payments.operations.retrying import retry_now
from payments.tests.processors import NOWHERE, charged_order, work
from payments.tests.sandbox_process import SandboxProcess

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("gateway")]


def test_a_refund_is_made_at_the_provider_and_recorded(sandbox: SandboxProcess) -> None:
    order = charged_order()
    payment = payment_of(order)
    refund = refund_of(payment, amount=Decimal("20.00"))

    assert work()
    assert not work()
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
    refund = refund_of(payment_of(order))
    with (
        patch.object(processing, "record_refund", side_effect=KeyboardInterrupt),
        pytest.raises(KeyboardInterrupt),
    ):
        work()

    Refund.objects.filter(pk=refund.pk).update(lease_until=None)
    assert work()

    refund.refresh_from_db()
    assert refund.status == "succeeded"
    [(count,)] = sandbox.rows(
        "SELECT count(*) FROM refunds WHERE idempotency_key = ?", str(refund.id)
    )
    assert count == 1


def test_a_refund_without_a_response_is_unknown_and_looked_up(
    sandbox: SandboxProcess, settings: Settings
) -> None:
    order = charged_order()
    refund = refund_of(payment_of(order))
    settings.SANDBOX_PROVIDER_URL = NOWHERE
    work()
    refund.refresh_from_db()
    assert refund.status == "unknown"

    settings.SANDBOX_PROVIDER_URL = sandbox.url
    retry_now(actor=system("tests"), work=refund)
    work()

    refund.refresh_from_db()
    assert refund.status == "succeeded"


def test_the_amount_of_a_failed_refund_can_be_refunded_again() -> None:
    order = charged_order("tok_refund_fails")
    payment = payment_of(order)
    refund = refund_of(payment)

    work()

    refund.refresh_from_db()
    payment.refresh_from_db()
    assert refund.status == "failed"
    assert payment.refundable == payment.amount


def test_a_refund_that_the_provider_rejects_fails() -> None:
    order = paid_order((make_product(), 1))  # captured here, but not at the provider
    refund = refund_of(payment_of(order))

    work()

    refund.refresh_from_db()
    assert refund.status == "failed"
    assert refund.failure_code


def test_a_rejected_look_up_leaves_the_refund_unknown(
    sandbox: SandboxProcess, settings: Settings
) -> None:
    order = charged_order()
    refund = refund_of(payment_of(order))
    settings.SANDBOX_PROVIDER_URL = NOWHERE
    work()
    settings.SANDBOX_PROVIDER_URL = sandbox.url
    retry_now(actor=system("tests"), work=refund)

    refusal = GatewayRejected(code="invalid_query", message="Not like this.")
    with patch.object(SandboxGateway, "look_up_refund", side_effect=refusal):
        work()

    refund.refresh_from_db()
    assert refund.status == "unknown"
    assert refund.next_attempt_at is not None


def test_a_refund_that_failed_is_not_sent_again(sandbox: SandboxProcess) -> None:
    """Its amount may belong to another refund by now."""
    order = charged_order()
    refund = refund_of(payment_of(order))
    refusal = GatewayRejected(code="not_now", message="Not now.")
    with patch.object(SandboxGateway, "refund", side_effect=refusal):
        work()
    refund.refresh_from_db()
    assert refund.status == "failed"

    retry_now(actor=system("tests"), work=refund)
    assert not work()

    assert sandbox.rows("SELECT * FROM refunds WHERE idempotency_key = ?", str(refund.id)) == []


def test_a_refund_that_kills_its_workers_is_left_to_staff() -> None:
    order = charged_order()
    refund = refund_of(payment_of(order))
    Refund.objects.update(attempts=retry_policy(Refund).attempts, status="unknown")

    assert not work()

    refund.refresh_from_db()
    assert (refund.status, refund.next_attempt_at, refund.lease_until) == ("unknown", None, None)


def test_a_refund_that_cannot_be_recorded_stops_no_other(sandbox: SandboxProcess) -> None:
    orders = [charged_order(), charged_order()]
    bad, good = (refund_of(payment_of(order)) for order in orders)
    condition = f"OLD.id = '{bad.id}' AND NEW.status = 'succeeded'"

    with refused_rows("payments_refund", "UPDATE", condition=condition):
        while work():
            pass

    bad.refresh_from_db()
    good.refresh_from_db()
    assert good.status == "succeeded"
    assert "refused by the test" in bad.last_error
    assert bad.next_attempt_at is not None
