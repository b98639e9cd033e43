"""Refunds and disputes that others made at the provider, and refunds that fail."""

from __future__ import annotations

from decimal import Decimal

import pytest

from oms.testing.factories import actor_for, make_product, make_staff
from oms.testing.ordering import paid_order, payment_of, refund_of
from orders.operations.cancelling import cancel_order
from orders.tests.provider_webhooks import (
    broken_checks,
    disputed,
    fail,
    open_exceptions,
    paid,
    refunded,
    state,
    succeed,
)
from orders.tests.test_cancellations import cancel
from payments.models import Refund

pytestmark = pytest.mark.django_db


def test_a_refund_of_others_is_a_row_and_the_rest_can_be_refunded() -> None:
    order = paid("50.00")
    payment = payment_of(order)

    refunded(payment, 30_00)
    refunded(payment, 30_00)

    refund = Refund.objects.get()
    assert (refund.origin, refund.amount, refund.reason) == (
        "provider",
        Decimal("30.00"),
        "By hand.",
    )
    assert state(order) == ("confirmed", "partially_refunded")
    assert open_exceptions(order) == ["refund_at_provider"]
    payment.refresh_from_db()
    assert payment.refundable == Decimal("20.00")
    assert broken_checks() == []

    rest = refund_of(payment)
    assert rest.amount == Decimal("20.00")
    succeed(rest)
    assert state(order)[1] == "refunded"
    assert broken_checks() == []


def test_a_refund_of_others_mends_nothing_more_when_the_order_is_cancelled() -> None:
    order = paid()
    refunded(payment_of(order), 100_00)
    assert state(order) == ("confirmed", "refunded")
    assert open_exceptions(order) == ["refund_at_provider"]

    cancel_order(actor=actor_for(make_staff()), order_id=order.id)

    assert state(order) == ("cancelled", "refunded")
    assert open_exceptions(order) == []
    assert Refund.objects.count() == 1
    assert broken_checks() == []


def test_a_refund_of_others_crosses_our_own() -> None:
    order = paid()
    payment = payment_of(order)
    ours = refund_of(payment)

    refunded(payment, 100_00)  # before ours reaches the provider, which then refuses it
    payment.refresh_from_db()
    assert payment.refunded_amount == Decimal("200.00")
    assert payment.refundable == 0
    fail(ours)

    payment.refresh_from_db()
    assert payment.refunded_amount == Decimal("100.00")
    # Our refund has cancelled what was not shipped, and that it failed needs nobody.
    assert state(order) == ("cancelled", "refunded")
    assert open_exceptions(order) == []
    assert broken_checks() == []


def test_a_dispute_is_in_progress_until_it_is_decided() -> None:
    order = paid()
    payment = payment_of(order)

    disputed(payment, 40_00)

    refund = Refund.objects.get()
    assert (refund.is_dispute, refund.status, refund.origin) == (True, "processing", "provider")
    assert refund.next_attempt_at is None
    payment.refresh_from_db()
    assert payment.refundable == Decimal("60.00")
    assert state(order) == ("confirmed", "paid")
    assert open_exceptions(order) == ["dispute"]
    assert broken_checks() == []


def test_a_dispute_that_is_won_changes_nothing() -> None:
    order = paid()
    payment = payment_of(order)
    disputed(payment, 40_00)

    disputed(payment, 40_00, "won")
    disputed(payment, 40_00)  # late

    refund = Refund.objects.get()
    assert (refund.status, refund.failure_code) == ("failed", "dispute_won")
    payment.refresh_from_db()
    assert payment.refundable == Decimal("100.00")
    assert state(order) == ("confirmed", "paid")
    assert open_exceptions(order) == []
    assert broken_checks() == []


def test_a_dispute_that_is_lost_is_a_refund() -> None:
    order = paid()
    disputed(payment_of(order), 100_00)

    disputed(payment_of(order), 100_00, "lost")

    assert Refund.objects.get().status == "succeeded"
    assert state(order) == ("confirmed", "refunded")
    assert open_exceptions(order) == ["refund_at_provider"]
    assert broken_checks() == []


def test_a_lost_dispute_whose_opening_never_arrived_is_recorded() -> None:
    order = paid()

    disputed(payment_of(order), 100_00, "lost")
    disputed(payment_of(order), 100_00, "open")

    assert Refund.objects.get().status == "succeeded"
    assert state(order) == ("confirmed", "refunded")


def test_each_failed_refund_is_an_exception_until_all_are_made_up_for() -> None:
    payment = payment_of(order := paid())
    for amount in ("5.00", "7.00"):
        fail(refund_of(payment, amount=Decimal(amount)))
    assert open_exceptions(order) == ["refund_failed"] * 2

    succeed(refund_of(payment, amount=Decimal("7.00")))
    assert open_exceptions(order) == ["refund_failed"] * 2
    succeed(refund_of(payment, amount=Decimal("5.00")))
    assert open_exceptions(order) == []


def test_the_refund_of_the_next_cancellation_does_not_mend_the_failed_one_before() -> None:
    order = paid_order((make_product(price=Decimal("10.00")), 3))
    cancel(order, (0, 1))
    fail(Refund.objects.latest("id"))
    cancel(order, (0, 1))
    succeed(Refund.objects.latest("id"))

    assert open_exceptions(order) == ["refund_failed"]
    succeed(refund_of(payment_of(order), amount=Decimal("10.00")))
    assert open_exceptions(order) == []
    assert broken_checks() == []


def test_a_failed_refund_is_an_exception_until_as_much_is_refunded() -> None:
    order = paid()
    payment = payment_of(order)

    fail(refund_of(payment, amount=Decimal("60.00")))
    assert open_exceptions(order) == ["refund_failed"]

    succeed(refund_of(payment, amount=Decimal("10.00")))
    assert open_exceptions(order) == ["refund_failed"]
    succeed(refund_of(payment, amount=Decimal("60.00")))
    assert open_exceptions(order) == []
