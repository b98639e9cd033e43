"""Refunds and disputes at the provider whose charge is not known, or not as captured, yet."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from oms.core import clock
from oms.core.ids import new_id
from oms.db.pipeline import Pipeline
from oms.db.transactions import transaction
from oms.exceptions.models import ExceptionRecord
from oms.testing.factories import actor_for, make_product, make_staff
from oms.testing.ordering import PROVIDER, paid_order, payment_of, report, settle
from oms.testing.webhooks import signed_headers, webhook_body
from orders.operations.cancelling import cancel_order
from orders.operations.refunding import refund_payment
from orders.tests.provider_webhooks import (
    broken_checks,
    captured,
    disputed,
    fail,
    open_exceptions,
    order_of,
    paid,
    refunded,
    state,
    succeed,
)
from orders.tests.test_cancellations import cancel
from payments.gateways.base import RefundResult
from payments.gateways.base import RefundStatus as RefundOutcome
from payments.models import Payment, Refund, UnmatchedRefund
from payments.operations.provider_refunds import (
    UNMATCHED_AFTER,
    match_refunds,
    record_provider_refund,
)
from payments.operations.webhooks import apply_webhooks, verify_webhook

pytestmark = pytest.mark.django_db

CHARGE = {
    "id": "ch_till",
    "idempotency_key": "till-7",
    "status": "captured",
    "amount": 50_00,
    "currency": "EUR",
    "captured_amount": 50_00,
    "refunded_amount": 0,
    "decline_code": None,
    "decline_message": None,
    "reference": "parking",
}
REFUND = {
    "id": "re_till",
    "idempotency_key": "till-7-back",
    "status": "succeeded",
    "charge_id": "ch_till",
    "amount": 30_00,
    "currency": "EUR",
    "reason": "By hand.",
}


def apply(*messages: tuple[str, dict[str, Any]]) -> None:
    """Apply the webhooks as one batch."""
    webhooks = []
    for type, data in messages:
        id = str(new_id())
        body = webhook_body(data, type=type, id=id)
        headers = signed_headers(body, id=id)
        webhooks.append(
            verify_webhook(provider="sandbox", headers=headers, body=body, now=clock.now())
        )

    @transaction
    def run() -> None:
        with Pipeline() as pipeline:
            apply_webhooks(webhooks, pipeline=pipeline)

    run()
    settle()


def kinds() -> list[str]:
    return sorted(ExceptionRecord.objects.filter(resolved_at=None).values_list("kind", flat=True))


@pytest.mark.parametrize("is_refund_first", [True, False])
def test_a_charge_of_others_and_its_refund_come_in_one_batch(is_refund_first: bool) -> None:
    messages = [("charge.captured", CHARGE), ("refund.succeeded", REFUND)]

    apply(*(reversed(messages) if is_refund_first else messages))

    money = Payment.objects.get()
    assert (money.captured_amount, money.refundable) == (Decimal("50.00"), Decimal("20.00"))
    assert Refund.objects.get().status == "succeeded"
    assert not UnmatchedRefund.objects.exists()
    assert broken_checks() == []


def test_a_refund_of_a_charge_that_is_known_later_is_recorded_then() -> None:
    apply(("refund.succeeded", REFUND))
    apply(("refund.succeeded", REFUND))
    assert UnmatchedRefund.objects.get().amount == Decimal("30.00")
    assert match_refunds(at=clock.now()) == 0

    apply(("charge.captured", CHARGE))
    assert match_refunds(at=clock.now()) == 1

    refund = Refund.objects.get()
    assert (refund.amount, refund.reason, refund.origin) == (
        Decimal("30.00"),
        "By hand.",
        "provider",
    )
    assert not UnmatchedRefund.objects.exists()
    assert match_refunds(at=clock.now()) == 0
    apply(("refund.succeeded", REFUND))
    assert Refund.objects.count() == 1


@pytest.mark.parametrize("is_authorized", [True, False])
def test_a_refund_before_its_capture_is_known_is_not_lost(is_authorized: bool) -> None:
    order = order_of()
    Payment.objects.update(
        status="authorized" if is_authorized else "processing",
        provider_reference=f"ch_{payment_of(order).id}" if is_authorized else "",
    )
    payment = payment_of(order)
    payment.provider_reference = f"ch_{payment.id}"
    refunded(payment, 100_00)
    assert not Refund.objects.exists()

    report(order)
    match_refunds(at=clock.now())
    settle()

    assert Refund.objects.get().amount == Decimal("100.00")
    assert state(order) == ("confirmed", "refunded")
    assert open_exceptions(order) == ["refund_at_provider"]
    assert broken_checks() == []


def test_one_whose_charge_stays_unknown_is_an_exception_once() -> None:
    apply(("refund.succeeded", REFUND))
    match_refunds(at=clock.now())
    assert kinds() == []

    later = clock.now() + UNMATCHED_AFTER
    match_refunds(at=later)
    match_refunds(at=later)

    assert kinds() == ["refund_unmatched"]
    assert "ch_till" in ExceptionRecord.objects.get().cause
    ExceptionRecord.objects.update(resolved_at=later)
    match_refunds(at=later)
    assert kinds() == []


def test_the_exception_is_settled_once_the_charge_is_known() -> None:
    apply(("refund.succeeded", REFUND))
    match_refunds(at=clock.now() + UNMATCHED_AFTER)
    apply(("charge.captured", {**CHARGE, "captured_amount": 10_00}))

    match_refunds(at=clock.now())
    assert kinds() == ["refund_unmatched"]  # 20.00 fit nothing yet
    assert Refund.objects.get().amount == Decimal("10.00")
    assert UnmatchedRefund.objects.get().amount == Decimal("20.00")
    apply(("charge.captured", CHARGE))
    match_refunds(at=clock.now())

    assert kinds() == ["charge_at_provider"]
    amounts = Refund.objects.order_by("id").values_list("amount", flat=True)
    assert list(amounts) == [Decimal("10.00"), Decimal("20.00")]
    assert broken_checks() == []


def test_more_than_was_captured_is_an_exception() -> None:
    order = paid("50.00")

    refunded(payment_of(order), 80_00)
    match_refunds(at=clock.now() + UNMATCHED_AFTER)

    assert Refund.objects.get().amount == Decimal("50.00")
    assert UnmatchedRefund.objects.get().amount == Decimal("30.00")
    assert kinds() == ["refund_at_provider", "refund_unmatched"]


def test_a_dispute_of_an_unknown_charge_is_decided_before_that_is_known() -> None:
    payment = Payment(id=new_id(), provider_reference="ch_till", currency="EUR")
    disputed(payment, 20_00, id="dp_won")
    disputed(payment, 10_00, id="dp_lost")
    match_refunds(at=clock.now() + UNMATCHED_AFTER)
    assert kinds() == ["refund_unmatched", "refund_unmatched"]

    disputed(payment, 20_00, "won", id="dp_won")
    disputed(payment, 10_00, "lost", id="dp_lost")
    disputed(payment, 10_00, "open", id="dp_lost")  # late
    assert kinds() == ["refund_unmatched"]
    apply(("charge.captured", CHARGE))
    match_refunds(at=clock.now())

    refund = Refund.objects.get()
    assert (refund.amount, refund.status, refund.is_dispute) == (
        Decimal("10.00"),
        "succeeded",
        True,
    )


def test_a_refund_in_another_currency_is_not_taken_for_one_in_ours() -> None:
    order = paid()
    result = RefundResult(
        status=RefundOutcome.SUCCEEDED,
        provider_reference="re_1",
        charge_reference=payment_of(order).provider_reference,
        amount=Decimal("5.00"),
        currency="USD",
    )

    assert record_provider_refund(actor=PROVIDER, provider="sandbox", result=result)

    assert not Refund.objects.exists()
    assert UnmatchedRefund.objects.get().currency == "USD"
    match_refunds(at=clock.now() + UNMATCHED_AFTER + timedelta(seconds=1))
    assert kinds() == ["refund_unmatched"]


def test_what_was_cancelled_during_a_dispute_that_the_shop_wins_is_an_exception() -> None:
    order = paid_order((make_product(price=Decimal("50.00")), 2))
    disputed(payment_of(order), 50_00)
    cancel(order, (0, 1))
    assert Refund.objects.count() == 1

    disputed(payment_of(order), 50_00, "won")

    assert open_exceptions(order) == ["captured_amount_differs"]
    assert broken_checks() == []


def test_what_was_cancelled_during_a_won_dispute_is_owed_whatever_staff_had_refunded() -> None:
    order = paid_order((make_product(price=Decimal("50.00")), 3))
    payment = payment_of(order)
    refund_payment(actor=actor_for(make_staff()), payment_id=payment.id, amount=Decimal("60.00"))
    disputed(payment, 90_00)
    cancel(order, (0, 1))

    disputed(payment, 90_00, "won")

    [exception] = ExceptionRecord.objects.filter(kind="captured_amount_differs")
    assert exception.cause.startswith("50.00 EUR were cancelled during a dispute")


def test_what_the_shop_wins_back_of_a_cancelled_order_is_refunded() -> None:
    order = paid()
    disputed(payment_of(order), 100_00)
    cancel_order(actor=actor_for(make_staff()), order_id=order.id)

    disputed(payment_of(order), 100_00, "won")

    assert Refund.objects.get(origin="shop").amount == Decimal("100.00")
    assert broken_checks() == []


def test_a_capture_of_a_part_keeps_the_refund_of_the_rest() -> None:
    order = order_of()
    captured(payment_of(order), 40_00)
    refunded(payment_of(order), 60_00)
    captured(payment_of(order), 100_00)

    match_refunds(at=clock.now())
    settle()

    assert [each.amount for each in Refund.objects.order_by("id")] == [
        Decimal("40.00"),
        Decimal("20.00"),
    ]
    assert broken_checks() == []


def test_a_refund_during_a_dispute_is_recorded_in_full_once_the_shop_wins() -> None:
    order = paid("10.00")
    payment = payment_of(order)
    disputed(payment, 5_00)
    refunded(payment, 8_00)
    disputed(payment, 5_00, "won")

    assert match_refunds(at=clock.now()) == 1
    settle()

    payment.refresh_from_db()
    assert payment.refunded_amount == Decimal("8.00")
    assert not UnmatchedRefund.objects.exists()
    assert match_refunds(at=clock.now()) == 0
    refunded(payment, 8_00)  # once more
    assert Refund.objects.filter(status="succeeded").count() == 2
    assert broken_checks() == []


def test_a_refund_during_a_dispute_leaves_what_the_shop_has_refunded() -> None:
    payment = payment_of(paid("10.00"))
    staff = actor_for(make_staff())
    refund_payment(actor=staff, payment_id=payment.id, amount=Decimal("2.00"))
    succeed(Refund.objects.get())
    disputed(payment, 5_00)

    refunded(payment, 8_00)
    assert broken_checks() == []
    disputed(payment, 5_00, "won")
    match_refunds(at=clock.now())

    payment.refresh_from_db()
    assert payment.refunded_amount == Decimal("10.00")
    assert not UnmatchedRefund.objects.exists()
    assert broken_checks() == []


@pytest.mark.parametrize("is_matched_while_open", [True, False])
def test_two_disputes_overlap(is_matched_while_open: bool) -> None:
    order = paid("10.00")
    payment = payment_of(order)
    disputed(payment, 5_00, id="dp_won")
    disputed(payment, 10_00, id="dp_lost")
    disputed(payment, 5_00, "won", id="dp_won")
    if is_matched_while_open:
        match_refunds(at=clock.now())

    disputed(payment, 10_00, "lost", id="dp_lost")

    payment.refresh_from_db()
    assert payment.refunded_amount == Decimal("10.00")
    assert state(order) == ("confirmed", "refunded")
    assert set(Refund.objects.values_list("provider_reference", "status")) == {
        ("dp_won", "failed"),
        ("dp_lost", "succeeded"),
    }
    assert open_exceptions(order) == ["refund_at_provider"] * 2
    assert not UnmatchedRefund.objects.exists()
    assert broken_checks() == []


def test_a_dispute_that_was_decided_stays_so_whatever_arrives_late() -> None:
    order = paid()
    payment = payment_of(order)

    disputed(payment, 20_00, "won")
    disputed(payment, 20_00)
    disputed(payment, 20_00, "won")
    match_refunds(at=clock.now() + UNMATCHED_AFTER)

    payment.refresh_from_db()
    assert payment.refunded_amount == 0
    assert not Refund.objects.exists()
    assert kinds() == []
    assert UnmatchedRefund.objects.get().status == "failed"
    assert broken_checks() == []


def test_a_dispute_of_an_unknown_charge_that_was_won_stays_so_once_that_is_known() -> None:
    payment = Payment(id=new_id(), provider_reference="ch_till", currency="EUR")
    for status in ("open", "won", "open"):
        disputed(payment, 20_00, status)
    apply(("charge.captured", CHARGE))
    match_refunds(at=clock.now() + UNMATCHED_AFTER)

    assert Payment.objects.get().refunded_amount == 0
    assert not Refund.objects.exists()
    assert kinds() == ["charge_at_provider"]


def test_a_failed_refund_of_others_changes_something_once() -> None:
    result = RefundResult(
        status=RefundOutcome.FAILED,
        provider_reference="re_1",
        charge_reference=payment_of(paid()).provider_reference,
        amount=Decimal("5.00"),
    )

    changed = [
        record_provider_refund(
            actor=PROVIDER, provider="sandbox", result=replace(result, status=status)
        )
        for status in (RefundOutcome.FAILED, RefundOutcome.PENDING, RefundOutcome.FAILED)
    ]

    assert changed == [True, False, False]
    assert not Refund.objects.exists()


@pytest.mark.parametrize("is_refused", [True, False])
def test_what_is_disputed_during_a_refund_of_the_shop_stays_within_the_captured_amount(
    is_refused: bool,
) -> None:
    order = paid("20.00")
    payment = payment_of(order)
    refund_payment(actor=actor_for(make_staff()), payment_id=payment.id, amount=Decimal("5.00"))

    disputed(payment, 20_00)
    payment.refresh_from_db()
    assert payment.refunded_amount == Decimal("20.00")
    (fail if is_refused else succeed)(Refund.objects.get(origin="shop"))
    assert broken_checks() == []
    match_refunds(at=clock.now() + UNMATCHED_AFTER)
    disputed(payment, 20_00, "lost")

    payment.refresh_from_db()
    assert payment.refunded_amount == Decimal("20.00")
    unmatched = list(UnmatchedRefund.objects.values_list("amount", flat=True))
    assert unmatched == ([] if is_refused else [Decimal("5.00")])
    assert ("refund_unmatched" in kinds()) is not is_refused
    assert broken_checks() == []
