"""What a provider refunded otherwise than it was asked to is recorded as it is."""

from __future__ import annotations

from decimal import Decimal

import pytest

from oms.exceptions.models import ExceptionRecord
from oms.testing.factories import make_product
from oms.testing.ordering import PROVIDER, paid_order, payment_of, refund_of, settle
from orders.models import Order
from payments.gateways.base import RefundResult
from payments.gateways.base import RefundStatus as RefundOutcome
from payments.models import Payment, Refund
from payments.operations.outcomes import record_refund

pytestmark = pytest.mark.django_db


def order_of_100() -> Order:
    return paid_order((make_product(price=Decimal("100.00")), 1))


def succeeded(refund: Refund, amount: str, currency: str = "EUR") -> Payment:
    """The provider has refunded that; returns the payment as it is then."""
    result = RefundResult(
        status=RefundOutcome.SUCCEEDED,
        provider_reference="re_1",
        charge_reference=refund.payment.provider_reference,
        amount=Decimal(amount),
        currency=currency,
    )
    assert record_refund(actor=PROVIDER, refund_id=refund.id, result=result)
    settle()
    refund.refresh_from_db()
    return Payment.objects.get(pk=refund.payment_id)


def causes() -> list[str]:
    rows = ExceptionRecord.objects.filter(resolved_at=None, kind="refund_amount_differs")
    return list(rows.values_list("cause", flat=True))


def test_less_is_recorded_and_the_rest_can_be_refunded() -> None:
    refund = refund_of(payment_of(order_of_100()))

    payment = succeeded(refund, "60.00")

    assert (refund.status, refund.amount) == ("succeeded", Decimal("60.00"))
    assert payment.refundable == Decimal("40.00")
    assert causes() == ["The provider refunded 60.00 EUR instead of 100.00 EUR."]
    rest = Refund.objects.get(pk=refund_of(payment).pk)
    succeeded(rest, "40.00")
    assert causes() == []


def test_more_is_recorded_as_far_as_it_was_captured() -> None:
    refund = refund_of(payment_of(order_of_100()), amount=Decimal("30.00"))

    payment = succeeded(refund, "150.00")

    assert refund.amount == payment.refunded_amount == Decimal("100.00")
    assert len(causes()) == 1


def test_another_currency_is_an_exception() -> None:
    refund = refund_of(payment_of(order_of_100()), amount=Decimal("30.00"))

    payment = succeeded(refund, "30.00", "USD")

    assert refund.amount == payment.refunded_amount == Decimal("30.00")
    assert "30.00" in causes()[0]
    assert "USD" in causes()[0]


def test_nothing_refunded_is_no_refund() -> None:
    refund = refund_of(payment_of(order_of_100()), amount=Decimal("30.00"))

    payment = succeeded(refund, "0.00")

    assert (refund.status, refund.failure_code) == ("failed", "nothing_refunded")
    assert payment.refundable == Decimal("100.00")
    assert causes() == []


def test_the_requested_amount_raises_nothing() -> None:
    refund = refund_of(payment_of(order_of_100()), amount=Decimal("30.00"))

    succeeded(refund, "30")

    assert not ExceptionRecord.objects.exists()
