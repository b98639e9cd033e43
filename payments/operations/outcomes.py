"""Records outcomes of payments and refunds, from responses and webhooks alike.

Each is a locked, monotone transition: late, repeated or superseded updates change nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog

from oms.core import clock
from oms.core.actor import Actor
from oms.core.money import ZERO
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
from payments.states import (
    PAYMENT_TRANSITIONS,
    REFUND_TRANSITIONS,
    PaymentStatus,
    RefundStatus,
)

log = structlog.get_logger(__name__)

# Longer texts of a provider are cut.
_CODE_LENGTH, _MESSAGE_LENGTH = 64, 500

PAYMENT_STATUSES = {
    ChargeStatus.CAPTURED: PaymentStatus.CAPTURED,
    ChargeStatus.AUTHORIZED: PaymentStatus.AUTHORIZED,
    ChargeStatus.DECLINED: PaymentStatus.FAILED,
    ChargeStatus.VOIDED: PaymentStatus.VOIDED,
}
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

    The number of statements does not depend on the number of updates.
    """
    payments = lock_payments(update.payment_id for update in updates)
    now = clock.now()
    changed: dict[UUID, LockedPayment] = {}
    events: list[tuple[DomainEvent, Actor]] = []
    for update in updates:
        payment = payments.get(update.payment_id)
        if payment is not None and _apply(payment, update.result, at=now):
            changed[payment.id] = payment
            events.append((_payment_event(payment), update.actor))
    if changed:
        _save(changed.values())
        publish_all(events, at=now)
    return len(events)


def _apply(payment: LockedPayment, result: ChargeResult, *, at: datetime) -> bool:
    """Change `payment` to `result`; False if that is no allowed transition."""
    status = PAYMENT_STATUSES[result.status]
    if status not in PAYMENT_TRANSITIONS[PaymentStatus(payment.status)]:
        if status is PaymentStatus.CAPTURED and payment.status != PaymentStatus.CAPTURED:
            # A payment that had failed or been voided was captured: staff must check it.
            log.error(
                "captured_after_final_status", payment_id=str(payment.id), status=payment.status
            )
        return False
    if status is PaymentStatus.CAPTURED and result.captured_amount != payment.amount:
        # No correct provider does this: staff must check it.
        log.error("captured_amount_differs", payment_id=str(payment.id))
    payment.status = status
    payment.provider_reference = result.provider_reference
    payment.failure_code = result.decline_code[:_CODE_LENGTH]
    payment.failure_message = result.decline_message[:_MESSAGE_LENGTH]
    if status is PaymentStatus.CAPTURED:
        payment.captured_amount = min(result.captured_amount, payment.amount)
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

    The amount of one that failed can be refunded again.
    """
    payment_id = Refund.objects.filter(pk=refund_id).values_list("payment_id", flat=True).first()
    payment = lock_payment(payment_id) if payment_id else None
    refund = lock_refund(refund_id)
    if payment is None or refund is None:
        return False
    status = _REFUND_STATUSES[result.status]
    if status not in REFUND_TRANSITIONS[RefundStatus(refund.status)]:
        return False
    now = clock.now()
    refund.status = status
    refund.provider_reference = result.provider_reference
    refund.updated_at = now
    refund.next_attempt_at = refund.lease_until = None
    refund.last_error = ""
    if status is RefundStatus.SUCCEEDED:
        refund.succeeded_at = now
    else:
        # The customer expects the refund: staff must check it.
        log.error("refund_failed", refund_id=str(refund.id), code=failure_code)
        refund.failure_code = failure_code[:_CODE_LENGTH] or "refused"
        payment.refunded_amount = max(payment.refunded_amount - refund.amount, ZERO)
        payment.updated_at = now
        payment.save(update_fields=["refunded_amount", "updated_at"])
    refund.save()
    publish(_refund_event(refund), actor=actor, at=now)
    return True


def _refund_event(refund: Refund) -> DomainEvent:
    if refund.status == RefundStatus.SUCCEEDED:
        return RefundSucceeded(
            refund_id=refund.id,
            payment_id=refund.payment_id,
            order_id=refund.order_id,
            amount=refund.amount,
            currency=refund.currency,
        )
    return RefundFailed(
        refund_id=refund.id,
        payment_id=refund.payment_id,
        order_id=refund.order_id,
        amount=refund.amount,
        currency=refund.currency,
        code=refund.failure_code,
    )
