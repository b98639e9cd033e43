"""Records outcomes of payments and refunds, from responses and webhooks alike.

Each is a locked, monotone transition: late, repeated or superseded updates change nothing. Money
that contradicts a final state is recorded beside it (provider_records.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from oms.core import clock
from oms.core.actor import Actor
from oms.core.money import ZERO, with_currency
from oms.db.bulk_writes import update_rows
from oms.db.transactions import transaction
from oms.events.publishing import publish, publish_all
from oms.events.types import DomainEvent
from payments.events import (
    PaymentAuthorized,
    PaymentCaptured,
    PaymentFailed,
    PaymentVoided,
    RefundFailed,
    RefundSucceeded,
)
from payments.gateways.base import ChargeResult, ChargeStatus, RefundResult
from payments.gateways.base import RefundStatus as RefundOutcome
from payments.locks import LockedPayment, lock_payment, lock_payments, lock_refund
from payments.models import Payment, Refund
from payments.operations.exceptions import (
    raise_refund_amount_differs,
    raise_refund_failed,
    settle_payments,
    settle_refund,
    settle_refunded,
)
from payments.operations.provider_captures import (
    is_unexpected_capture,
    record_unexpected_capture,
)
from payments.states import (
    CURRENCY_DIFFERS,
    PAYMENT_TRANSITIONS,
    REFUND_TRANSITIONS,
    PaymentStatus,
    RefundStatus,
)

# Longer texts of a provider are cut.
_CODE_LENGTH, _MESSAGE_LENGTH = 64, 500

PAYMENT_STATUSES = {
    ChargeStatus.CAPTURED: PaymentStatus.CAPTURED,
    ChargeStatus.AUTHORIZED: PaymentStatus.AUTHORIZED,
    ChargeStatus.DECLINED: PaymentStatus.FAILED,
    ChargeStatus.VOIDED: PaymentStatus.VOIDED,
}
# A refund of ours that is pending has no outcome yet.
_REFUND_STATUSES = {
    RefundOutcome.SUCCEEDED: RefundStatus.SUCCEEDED,
    RefundOutcome.FAILED: RefundStatus.FAILED,
}
# After an outcome nothing is left to do.
_FINISHED = {
    "requested_action": "",
    "attempts": 0,
    "last_error": "",
    "next_attempt_at": None,
    "lease_until": None,
}
_CHANGED = (
    *("id", "status", "provider_reference", "failure_code", "failure_message"),
    *("captured_amount", "captured_at", "updated_at"),
)


@dataclass(frozen=True, kw_only=True)
class ChargeUpdate:
    """The provider's current result for the charge of a payment, reported by `actor`."""

    payment_id: UUID
    result: ChargeResult
    actor: Actor


def record_charge(*, actor: Actor, payment_id: UUID, result: ChargeResult) -> bool:
    """Update the payment to the provider's result; whether that changed it.

    False as well for an unknown payment.
    """
    return bool(record_charges([ChargeUpdate(payment_id=payment_id, result=result, actor=actor)]))


@transaction
def record_charges(updates: Sequence[ChargeUpdate]) -> int:
    """Update payments in the order of the updates; the number of updates that changed one.

    The number of statements does not depend on the number of updates, but for money that no
    payment expected.
    """
    payments = lock_payments(update.payment_id for update in updates)
    now = clock.now()
    changed: dict[UUID, LockedPayment] = {}
    unexpected: list[tuple[LockedPayment, ChargeUpdate]] = []
    retried: set[UUID] = set()
    events: list[tuple[DomainEvent, Actor]] = []
    for update in updates:
        payment, result = payments.get(update.payment_id), update.result
        if payment is None:
            continue
        if is_unexpected_capture(payment, result):
            unexpected.append((payment, update))
            result = _without_money(payment, result)
        if not _apply(payment, result, at=now):
            continue
        if result.status is ChargeStatus.CAPTURED and result.captured_amount != payment.amount:
            unexpected.append((payment, update))
        changed[payment.id] = payment
        events.append((_payment_event(payment), update.actor))
        if payment.last_error:
            retried.add(payment.id)
    if changed:
        _save(changed.values())
        publish_all(events, at=now)
    recorded = sum(record_unexpected_capture(*each, at=now) for each in unexpected)
    if retried:
        settle_payments(retried, actor=updates[0].actor)
    return len(events) + recorded


def _without_money(payment: LockedPayment, result: ChargeResult) -> ChargeResult:
    """What remains for the payment itself: it will collect nothing more in its currency."""
    is_authorized = payment.status == PaymentStatus.AUTHORIZED
    return replace(
        result,
        status=ChargeStatus.VOIDED if is_authorized else ChargeStatus.DECLINED,
        decline_code=CURRENCY_DIFFERS,
        decline_message=f"The provider captured {result.captured_amount} {result.currency}.",
    )


def _apply(payment: LockedPayment, result: ChargeResult, *, at: datetime) -> bool:
    """Change `payment` to `result`; False if that is no allowed transition."""
    status = PAYMENT_STATUSES[result.status]
    if status not in PAYMENT_TRANSITIONS[PaymentStatus(payment.status)]:
        return False
    if status is PaymentStatus.CAPTURED and not result.captured_amount:
        return False  # nothing was collected: no outcome
    payment.status = status
    payment.provider_reference = result.provider_reference
    payment.failure_code = result.decline_code[:_CODE_LENGTH]
    payment.failure_message = result.decline_message[:_MESSAGE_LENGTH]
    if status is PaymentStatus.CAPTURED:
        payment.captured_amount = result.captured_amount
        payment.captured_at = at
    payment.updated_at = at
    return True


def _save(payments: Iterable[LockedPayment]) -> None:
    update_rows(
        Payment,
        (*_CHANGED, *_FINISHED),
        (
            (*(getattr(payment, name) for name in _CHANGED), *_FINISHED.values())
            for payment in payments
        ),
    )


def _payment_event(payment: LockedPayment) -> DomainEvent:
    if payment.status == PaymentStatus.CAPTURED:
        return PaymentCaptured(
            payment_id=payment.id,
            order_id=payment.order_id,
            amount=payment.captured_amount,
            currency=payment.currency,
        )
    if payment.status == PaymentStatus.AUTHORIZED:
        return PaymentAuthorized(
            payment_id=payment.id,
            order_id=payment.order_id,
            amount=payment.amount,
            currency=payment.currency,
        )
    if payment.status == PaymentStatus.FAILED:
        return PaymentFailed(
            payment_id=payment.id,
            order_id=payment.order_id,
            code=payment.failure_code,
            message=payment.failure_message,
        )
    return PaymentVoided(payment_id=payment.id, order_id=payment.order_id)


@transaction
def record_refund(
    *, actor: Actor, refund_id: UUID, result: RefundResult, failure_code: str = ""
) -> bool:
    """Update the refund to the provider's result; whether that changed it.

    The amount of one that failed can be refunded again. What was refunded is recorded as it is,
    also another amount than was requested.
    """
    payment_id = Refund.objects.filter(pk=refund_id).values_list("payment_id", flat=True).first()
    payment = lock_payment(payment_id) if payment_id else None
    refund = lock_refund(refund_id)
    if payment is None or refund is None:
        return False
    status = _REFUND_STATUSES.get(result.status)
    if status is RefundStatus.SUCCEEDED and not result.amount:
        status, failure_code = RefundStatus.FAILED, "nothing_refunded"
    if status is None or status not in REFUND_TRANSITIONS[RefundStatus(refund.status)]:
        return False
    if refund.last_error:
        settle_refund(refund, actor=actor)
    now = clock.now()
    counted, requested = payment.refunded_amount, with_currency(refund.amount, refund.currency)
    refund.status = status
    refund.provider_reference = result.provider_reference
    refund.updated_at = now
    refund.next_attempt_at = refund.lease_until = None
    refund.last_error = ""
    if status is RefundStatus.SUCCEEDED:
        refund.succeeded_at = now
        _take_amount(payment, refund, result)
    else:
        refund.failure_code = failure_code[:_CODE_LENGTH] or "refused"
        payment.refunded_amount = max(payment.refunded_amount - refund.amount, ZERO)
    if payment.refunded_amount != counted:
        payment.updated_at = now
        payment.save(update_fields=["refunded_amount", "updated_at"])
    refund.save()
    publish(refund_event(refund), actor=actor, at=now)
    if status is RefundStatus.SUCCEEDED:
        settle_refunded(payment, refund, actor=actor)
        refunded = with_currency(result.amount, result.currency or refund.currency)
        if refunded != requested:
            raise_refund_amount_differs(refund, refunded=refunded, requested=requested, actor=actor)
    elif payment.refundable:  # else somebody else has refunded all of it
        raise_refund_failed(payment, refund, actor=actor)
    return True


def _take_amount(payment: Payment, refund: Refund, result: RefundResult) -> None:
    """Record what was refunded, if it is in the currency of the payment.

    As far as it is possible: more than was captured was not refunded of this payment.
    """
    if result.currency not in ("", refund.currency):
        return
    possible = payment.captured_amount + payment.refunded_at_provider - payment.refunded_amount
    amount = min(result.amount, refund.amount + possible)
    payment.refunded_amount += amount - refund.amount
    refund.amount = amount


def refund_event(refund: Refund) -> DomainEvent:
    if refund.status == RefundStatus.SUCCEEDED:
        return RefundSucceeded(
            refund_id=refund.id,
            payment_id=refund.payment_id,
            order_id=refund.order_id,
            amount=refund.amount,
            currency=refund.currency,
            origin=refund.origin,
            is_dispute=refund.is_dispute,
        )
    return RefundFailed(
        refund_id=refund.id,
        payment_id=refund.payment_id,
        order_id=refund.order_id,
        amount=refund.amount,
        currency=refund.currency,
        code=refund.failure_code,
    )
