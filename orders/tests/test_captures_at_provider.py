"""Money that is not what was asked for: another amount or currency, too late, by others."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.db import transaction

from oms.events.publishing import publish
from oms.exceptions.models import ExceptionRecord
from oms.testing.factories import actor_for, api_client, make_customer, make_staff
from oms.testing.ordering import (
    PROVIDER,
    payment_of,
    refund_of,
    report,
    settle,
    status_changes_of,
    stock_of,
)
from oms.testing.webhooks import charge_of
from orders.operations.cancelling import cancel_order
from orders.operations.refunding import refund_payment
from orders.operations.requesting_payments import pay_order
from orders.operations.status_changes import set_order_status
from orders.states import OrderStatus
from orders.tests.provider_webhooks import (
    CHOICE,
    broken_checks,
    captured,
    deliver,
    open_exceptions,
    order_of,
    paid,
    refunded,
    state,
    succeed,
)
from payments.events import PaymentBecameUnknown
from payments.gateways.base import ChargeStatus
from payments.models import Payment, Refund

pytestmark = pytest.mark.django_db

# --- Another amount -------------------------------------------------------------------------------


def test_too_little_is_partially_paid_on_hold_and_the_rest_can_be_paid() -> None:
    customer = make_customer()
    order = order_of(customer=customer)
    payment = payment_of(order)

    captured(payment, 1_00)

    assert state(order) == ("on_hold", "partially_paid")
    assert order.expires_at is None
    assert open_exceptions(order) == ["captured_amount_differs"]
    assert status_changes_of(order) == [
        "order.placed",
        "order.partially_paid",
        "order.put_on_hold",
    ]
    assert stock_of(order.items.get().product) == (10, 1)
    assert broken_checks() == []

    rest = pay_order(actor=actor_for(customer), order_id=order.id, choice=CHOICE)
    assert rest.amount == Decimal("99.00")
    assert state(order) == ("on_hold", "processing")
    report(order)
    settle()

    assert state(order) == ("on_hold", "paid")
    assert open_exceptions(order) == []
    set_order_status(actor=actor_for(make_staff()), order_id=order.id, status=OrderStatus.CONFIRMED)
    assert state(order) == ("confirmed", "paid")
    assert order.confirmed_at is not None
    assert broken_checks() == []


def test_a_failed_payment_of_the_rest_leaves_it_partially_paid() -> None:
    customer = make_customer()
    order = order_of(customer=customer)
    captured(payment_of(order), 1_00)
    pay_order(actor=actor_for(customer), order_id=order.id, choice=CHOICE)

    report(order, ChargeStatus.DECLINED)
    settle()

    assert state(order) == ("on_hold", "partially_paid")
    assert "order.payment_failed" in status_changes_of(order)
    assert broken_checks() == []


def test_too_much_is_paid_on_hold_until_the_rest_is_refunded() -> None:
    order = order_of()
    payment = payment_of(order)

    captured(payment, 150_00)

    payment.refresh_from_db()
    assert (payment.captured_amount, payment.amount) == (Decimal("150.00"), Decimal("100.00"))
    assert state(order) == ("on_hold", "paid")
    assert open_exceptions(order) == ["captured_amount_differs"]
    assert broken_checks() == []

    refunded(payment, 50_00)
    assert state(order) == ("on_hold", "partially_refunded")
    assert open_exceptions(order) == []
    assert broken_checks() == []


def test_too_much_holds_the_order_also_when_its_outcome_was_unknown_just_before() -> None:
    order = order_of()
    payment = payment_of(order)
    with transaction.atomic():
        unknown = PaymentBecameUnknown(payment_id=payment.id, order_id=order.id)
        publish(unknown, actor=PROVIDER)

    captured(payment, 150_00)

    assert state(order) == ("on_hold", "paid")
    assert order.confirmed_at is None


def test_more_that_is_captured_later_is_recorded_beside_the_payment_once() -> None:
    order = order_of()
    payment = payment_of(order)
    captured(payment, 1_00)

    captured(payment, 100_00)
    captured(payment, 100_00)
    captured(payment, 1_00)  # late

    payment.refresh_from_db()
    assert payment.captured_amount == Decimal("1.00")
    other = payment_of(order)
    assert (other.origin, other.captured_amount) == ("provider", Decimal("99.00"))
    assert other.charge_key == str(payment.id)
    assert Payment.objects.count() == 2
    assert state(order) == ("on_hold", "paid")
    assert broken_checks() == []


def test_a_repeated_webhook_does_not_raise_a_resolved_exception_again() -> None:
    order = order_of()
    captured(payment_of(order), 1_00)
    ExceptionRecord.objects.update(resolved_at=order.placed_at)

    captured(payment_of(order), 1_00)

    assert open_exceptions(order) == []


# --- After the end --------------------------------------------------------------------------------


def test_a_capture_after_a_decline_is_recorded_and_pays_the_order() -> None:
    order = order_of()
    failed = payment_of(order)
    report(order, ChargeStatus.DECLINED)
    settle()
    assert state(order) == ("pending", "failed")

    captured(failed)
    captured(failed)

    failed.refresh_from_db()
    assert (failed.status, failed.captured_amount) == ("failed", Decimal(0))
    money = payment_of(order)
    assert (money.origin, money.status, money.captured_amount) == (
        "provider",
        "captured",
        Decimal("100.00"),
    )
    assert state(order) == ("confirmed", "paid")
    assert open_exceptions(order) == ["captured_after_final"]
    assert Payment.objects.count() == 2
    assert broken_checks() == []


def test_a_second_capture_after_a_decline_puts_a_paid_order_on_hold() -> None:
    customer = make_customer()
    order = order_of(customer=customer)
    failed = payment_of(order)
    report(order, ChargeStatus.DECLINED)
    settle()
    pay_order(actor=actor_for(customer), order_id=order.id, choice=CHOICE)
    report(order)
    settle()

    captured(failed)

    assert state(order) == ("on_hold", "paid")
    assert open_exceptions(order) == ["captured_after_final"]
    assert broken_checks() == []

    money = Payment.objects.get(origin="provider")
    refund = refund_of(money)
    succeed(refund)
    assert state(order) == ("on_hold", "partially_refunded")
    assert open_exceptions(order) == []


def test_money_after_the_decline_of_a_cancelled_order_is_refunded() -> None:
    order = order_of()
    failed = payment_of(order)
    report(order, ChargeStatus.DECLINED)
    settle()
    cancel_order(actor=actor_for(make_staff()), order_id=order.id)

    captured(failed)

    refund = Refund.objects.get()
    assert (refund.amount, refund.payment.origin) == (Decimal("100.00"), "provider")
    succeed(refund)
    assert state(order) == ("cancelled", "refunded")
    assert open_exceptions(order) == []
    assert broken_checks() == []


# --- Another currency -----------------------------------------------------------------------------


def test_another_currency_is_recorded_and_never_counted_as_paid() -> None:
    order = order_of()
    payment = payment_of(order)

    captured(payment, 100_00, currency="USD")
    captured(payment, 100_00, currency="USD")

    payment.refresh_from_db()
    assert (payment.status, payment.failure_code) == ("failed", "currency_differs")
    money = Payment.objects.get(origin="provider")
    assert (money.captured_amount, money.currency) == (Decimal("100.00"), "USD")
    assert state(order) == ("on_hold", "failed")
    assert open_exceptions(order) == ["captured_currency_differs"]
    assert "order.payment_failed" not in status_changes_of(order)
    assert "order.paid" not in status_changes_of(order)
    assert broken_checks() == []

    succeed(refund_of(money))
    assert state(order) == ("on_hold", "failed")
    assert open_exceptions(order) == []
    assert broken_checks() == []


# --- Charges of others ----------------------------------------------------------------------------


def test_a_charge_of_others_for_an_order_is_its_money_too() -> None:
    order = paid()
    theirs = {**charge_of(payment_of(order)), "id": "ch_2", "idempotency_key": "terminal-7"}

    for _ in range(2):
        deliver({**theirs, "reference": str(order.id)}, type="charge.captured")

    money = payment_of(order)
    assert (money.origin, money.charge_key, money.order_id) == ("provider", "terminal-7", order.id)
    assert state(order) == ("on_hold", "paid")
    assert open_exceptions(order) == ["charge_at_provider"]
    assert broken_checks() == []


def test_a_charge_of_others_for_no_order_can_be_refunded() -> None:
    known = payment_of(paid())
    theirs = {**charge_of(known), "id": "ch_2", "idempotency_key": "till", "reference": "parking"}

    deliver(theirs, type="charge.captured")

    money = Payment.objects.get(origin="provider")
    assert money.order_id is None
    exception = ExceptionRecord.objects.get()
    assert (exception.kind, exception.payment_id) == ("charge_at_provider", money.id)
    assert broken_checks() == []
    staff = make_staff()
    shown = api_client(staff).get(f"/api/v1/admin/payments/{money.id}").json()
    assert (shown["order_id"], shown["origin"]) == (None, "provider")

    refund_payment(actor=actor_for(staff), payment_id=money.id, reason="Not ours.")
    succeed(Refund.objects.get())
    assert not ExceptionRecord.objects.filter(resolved_at=None).exists()
    assert broken_checks() == []


@pytest.mark.parametrize("status", ["declined", "authorized"])
def test_a_charge_of_others_without_money_is_ignored(status: str) -> None:
    known = payment_of(paid())
    theirs = {**charge_of(known, status), "id": "ch_2", "idempotency_key": "till"}

    deliver(theirs, type=f"charge.{status}")

    assert not Payment.objects.filter(origin="provider").exists()
    assert not ExceptionRecord.objects.exists()
