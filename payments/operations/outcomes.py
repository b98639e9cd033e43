"""What became of a payment or refund: one locked, monotone step for answers and webhooks alike.

Late, repeated or overtaken news finds the row further on than itself, and changes nothing.
"""

from __future__ import annotations

from uuid import UUID

import structlog

from oms.core import clock
from oms.core.actor import Actor
from oms.core.db import transaction
from oms.core.money import ZERO
from oms.events.domain import DomainEvent
from oms.events.publishing import publish
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
from payments.locks import lock_payment, lock_refund
from payments.models import Payment, Refund, WantedStep
from payments.states import (
    PAYMENT_TRANSITIONS,
    REFUND_TRANSITIONS,
    PaymentStatus,
    RefundStatus,
)

log = structlog.get_logger(__name__)

_CHARGES = {
    ChargeStatus.CAPTURED: PaymentStatus.CAPTURED,
    ChargeStatus.AUTHORIZED: PaymentStatus.AUTHORIZED,
    ChargeStatus.DECLINED: PaymentStatus.FAILED,
    ChargeStatus.VOIDED: PaymentStatus.VOIDED,
}
_REFUNDS = {
    RefundOutcome.SUCCEEDED: RefundStatus.SUCCEEDED,
    RefundOutcome.FAILED: RefundStatus.FAILED,
}


@transaction
def record_charge(*, actor: Actor, payment_id: UUID, result: ChargeResult) -> bool:
    """Let the payment be what the provider says of its charge; returns whether that was news.

    False as well for a payment that is not ours.
    """
    payment = lock_payment(payment_id)
    if payment is None:
        return False
    status = _CHARGES[result.status]
    if status not in PAYMENT_TRANSITIONS[PaymentStatus(payment.status)]:
        return False
    if status is PaymentStatus.CAPTURED and result.captured_amount != payment.amount:
        # Never seen from a provider that honours the call; a person has to look at it.
        log.error("captured_amount_differs", payment_id=str(payment.id))
    now = clock.now()
    payment.status = status
    payment.provider_reference = result.provider_reference
    payment.failure_code = result.decline_code
    payment.failure_message = result.decline_message
    if status is PaymentStatus.CAPTURED:
        payment.captured_amount = min(result.captured_amount, payment.amount)
        payment.captured_at = now
    payment.updated_at = now
    payment.wanted = WantedStep.NONE
    payment.next_attempt_at = payment.lease_until = None
    payment.attempts = 0
    payment.last_error = ""
    payment.save()
    publish(_payment_fact(payment), actor=actor, at=now)
    return True


def _payment_fact(payment: Payment) -> DomainEvent:
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
    """The same for a refund: one that failed gives its amount back to what can be refunded."""
    payment_id = Refund.objects.filter(pk=refund_id).values_list("payment_id", flat=True).first()
    payment = lock_payment(payment_id) if payment_id else None
    refund = lock_refund(refund_id)
    if payment is None or refund is None:
        return False
    status = _REFUNDS[result.status]
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
        refund.failure_code = failure_code or "refused"
        payment.refunded_amount = max(payment.refunded_amount - refund.amount, ZERO)
        payment.updated_at = now
        payment.save(update_fields=["refunded_amount", "updated_at"])
    refund.save()
    publish(_refund_fact(refund), actor=actor, at=now)
    return True


def _refund_fact(refund: Refund) -> DomainEvent:
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
