"""Webhooks of a provider at the same time as our calls, a cancellation, expiry, and others."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import httpx
import pytest

from oms.core import clock
from oms.core.ids import new_id
from oms.exceptions.models import ExceptionRecord
from oms.reconcile.runner import run_checks
from oms.testing.factories import actor_for, make_product, make_staff
from oms.testing.ordering import (
    PROVIDER,
    outcomes_at_once,
    paid_order,
    payment_of,
    place,
    relay_payment_events,
    report,
    result,
    settle,
    stock_of,
)
from oms.testing.processes import Processes
from oms.testing.webhooks import WEBHOOKS, charge_of, signed_headers, webhook_body
from orders.checks import CHECKS as ORDER_CHECKS
from orders.errors import InvalidTransition
from orders.models import Order
from orders.operations.cancelling import cancel_order, expire_orders
from orders.operations.refunding import refund_payment
from payments.checks import CHECKS as PAYMENT_CHECKS
from payments.errors import RefundExceedsCaptured
from payments.gateways.base import ChargeStatus, RefundResult, RefundStatus
from payments.models import Payment, ProviderMessage, Refund
from payments.operations import provider_captures
from payments.operations.outcomes import record_charge, record_refund
from payments.operations.provider_captures import record_foreign_charge
from payments.operations.provider_refunds import record_provider_refund

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


def assert_consistent() -> None:
    findings = run_checks([*ORDER_CHECKS, *PAYMENT_CHECKS])
    assert [(each.name, each.violations) for each in findings if not each.holds] == []


def succeeded(payment: Payment, amount: Decimal, **values: Any) -> RefundResult:
    return RefundResult(
        status=RefundStatus.SUCCEEDED,
        provider_reference=f"re_{new_id()}",
        charge_reference=payment.provider_reference,
        amount=amount,
        **values,
    )


def of_others(payment: Payment, amount: Decimal) -> Any:
    refund = succeeded(payment, amount)
    return partial(record_provider_refund, actor=PROVIDER, provider="sandbox", result=refund)


def test_a_refund_of_others_at_the_moment_of_our_own_gives_the_money_back_once() -> None:
    staff = actor_for(make_staff())
    for _ in range(8):
        order = paid_order((make_product(price=Decimal("100.00")), 1))
        payment = payment_of(order)

        theirs, ours = outcomes_at_once(
            [
                of_others(payment, Decimal("100.00")),
                partial(refund_payment, actor=staff, payment_id=payment.id),
            ]
        )

        assert theirs is True
        if not isinstance(ours, RefundExceedsCaptured):
            # The provider has nothing left to refund.
            failed = replace(succeeded(payment, ours.amount), status=RefundStatus.FAILED)
            assert record_refund(actor=PROVIDER, refund_id=ours.id, result=failed)
        settle()
        payment.refresh_from_db()
        order.refresh_from_db()
        assert (payment.refunded_amount, payment.refundable) == (Decimal("100.00"), Decimal(0))
        assert order.payment_status == "refunded"
        assert Refund.objects.filter(order_id=order.id, status="succeeded").count() == 1
        kinds = ExceptionRecord.objects.filter(order_id=order.id, resolved_at=None)
        # Our refund of all has cancelled what was not shipped.
        is_cancelled = not isinstance(ours, RefundExceedsCaptured)
        assert order.status == ("cancelled" if is_cancelled else "confirmed")
        expected = [] if is_cancelled else ["refund_at_provider"]
        assert [each.kind for each in kinds] == expected
    assert_consistent()


def test_a_refund_and_its_result_meet_a_cancellation() -> None:
    staff = actor_for(make_staff())
    for _ in range(6):
        order = paid_order((make_product(price=Decimal("100.00")), 1))
        payment = payment_of(order)

        outcomes_at_once(
            [
                of_others(payment, Decimal("30.00")),
                partial(cancel_order, actor=staff, order_id=order.id),
                relay_payment_events,
            ]
        )
        for refund in Refund.objects.filter(order_id=order.id, status="requested"):
            # What does not fit any more the provider refuses.
            fits = refund.amount <= Decimal("70.00")
            outcome = succeeded(payment, refund.amount)
            if not fits:
                outcome = replace(outcome, status=RefundStatus.FAILED)
            record_refund(actor=PROVIDER, refund_id=refund.id, result=outcome)
        settle()

        order.refresh_from_db()
        payment.refresh_from_db()
        assert order.status == "cancelled"
        if payment.refundable:  # ours was of all, and failed: staff refund the rest
            kinds = set(
                ExceptionRecord.objects.filter(order_id=order.id, resolved_at=None).values_list(
                    "kind", flat=True
                )
            )
            assert "refund_failed" in kinds
            rest = refund_payment(actor=staff, payment_id=payment.id)
            assert rest.amount == Decimal("70.00")
            result_of_rest = succeeded(payment, rest.amount)
            record_refund(actor=PROVIDER, refund_id=rest.id, result=result_of_rest)
            settle()
        order.refresh_from_db()
        assert order.payment_status == "refunded"
        assert not ExceptionRecord.objects.filter(order_id=order.id, resolved_at=None).exists()
    assert_consistent()


@pytest.mark.parametrize("is_expiring", [False, True])
def test_a_capture_after_a_decline_meets_the_end_of_the_order(is_expiring: bool) -> None:
    staff, late = actor_for(make_staff()), clock.now() + timedelta(hours=2)
    for _ in range(6):
        mug = make_product(price=Decimal("100.00"), stock=1)
        order = place((mug, 1), token="tok_success")
        payment = payment_of(order)
        report(order, ChargeStatus.DECLINED)
        settle()
        capture = partial(
            record_charge, actor=PROVIDER, payment_id=payment.id, result=result(payment)
        )
        end = (
            partial(expire_orders, at=late)
            if is_expiring
            else partial(cancel_order, actor=staff, order_id=order.id)
        )

        outcomes = outcomes_at_once([capture, capture, end, relay_payment_events])
        settle()

        unexpected = [
            outcome
            for outcome in outcomes
            if isinstance(outcome, Exception) and not isinstance(outcome, InvalidTransition)
        ]
        assert not unexpected
        order.refresh_from_db()
        money = Payment.objects.get(order_id=order.id, origin="provider")
        assert money.captured_amount == Decimal("100.00")
        if order.status == "confirmed":
            assert (stock_of(mug), money.refundable) == ((1, 1), Decimal("100.00"))
        else:
            assert order.status == "cancelled"
            assert (stock_of(mug), money.refundable) == ((1, 0), Decimal(0))
    assert_consistent()


def foreign_charge(order: Order, key: str) -> Any:
    charge = replace(result(payment_of(order)), reference="parking", provider_reference="ch_x")
    return partial(
        record_foreign_charge, actor=PROVIDER, provider="sandbox", key=key, result=charge
    )


def record_twice(key: str) -> Any:
    """Record one charge of others from two threads at once."""
    work = foreign_charge(paid_order((make_product(), 1)), key)
    return outcomes_at_once([work, work])


def test_a_charge_of_others_that_is_reported_twice_at_once_is_one_payment() -> None:
    for number in range(5):
        outcomes = record_twice(f"till-{number}")

        assert sorted(outcomes) == [False, True]
        assert Payment.objects.filter(charge_key=f"till-{number}").count() == 1
    assert_consistent()


def test_without_its_lock_such_a_charge_would_be_two_payments(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    both_have_begun = threading.Barrier(2)
    original = Payment.objects.create

    def create_together(**values: Any) -> Payment:
        if values.get("charge_key"):
            both_have_begun.wait(timeout=10)
        return original(**values)

    monkeypatch.setattr(provider_captures, "lock_charge", lambda **charge: None)
    monkeypatch.setattr(Payment.objects, "create", create_together)

    record_twice("till")

    assert Payment.objects.filter(charge_key="till").count() == 2


def test_two_deliveries_of_one_message_to_two_processes_take_effect_once(
    processes: Processes,
) -> None:
    processes.start("web", {"WEB_WORKERS": "2"})
    order = place((make_product(price=Decimal("100.00")), 1), token="tok_success")
    payment = payment_of(order)
    report(order, ChargeStatus.DECLINED)
    captured = webhook_body(charge_of(payment), type="charge.captured", id="msg_1")
    theirs = {**charge_of(payment), "id": "ch_2", "idempotency_key": "till"}
    foreign = webhook_body(theirs, type="charge.captured", id="msg_2")

    def deliver(number: int) -> int:
        body, id = (captured, "msg_1") if number % 2 else (foreign, "msg_2")
        with httpx.Client(base_url=processes.web_url, timeout=20, trust_env=False) as client:
            headers = {**signed_headers(body, id=id), "Content-Type": "application/json"}
            return client.post(WEBHOOKS, content=body, headers=headers).status_code

    with ThreadPoolExecutor(20) as threads:
        assert set(threads.map(deliver, range(40))) == {204}

    assert ProviderMessage.objects.count() == 2
    keys = Payment.objects.filter(origin="provider").values_list("charge_key", flat=True)
    assert sorted(keys) == sorted([str(payment.id), "till"])
    kinds = ExceptionRecord.objects.values_list("kind", flat=True)
    assert sorted(kinds) == ["captured_after_final", "charge_at_provider"]
    settle()
    order.refresh_from_db()
    assert (order.status, order.payment_status) == ("confirmed", "paid")
