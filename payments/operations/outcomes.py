"""What became of a payment or refund: one locked, monotone step for answers and webhooks alike.

Late, repeated or overtaken news finds the row further on than itself, and changes nothing.
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

# What a provider says may be longer than what is kept of it.
_CODE_LENGTH, _MESSAGE_LENGTH = 64, 500

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


_COLUMNS = (
    "id",
    "status",
    "provider_reference",
    "failure_code",
    "failure_message",
    "captured_amount",
    "captured_at",
    "updated_at",
    "requested_action",
    "attempts",
    "last_error",
    "next_attempt_at",
    "lease_until",
)


@dataclass(frozen=True, kw_only=True)
class ChargeUpdate:
    """What a provider says of the charge of a payment, and who tells it."""

    payment_id: UUID
    result: ChargeResult
    actor: Actor


def record_charge(*, actor: Actor, payment_id: UUID, result: ChargeResult) -> bool:
    """Let the payment be what the provider says of its charge; returns whether that was news.

    False as well for a payment that is not ours.
    """
    news = ChargeUpdate(payment_id=payment_id, result=result, actor=actor)
    return bool(record_charges([news]))


@transaction
def record_charges(news: Sequence[ChargeUpdate]) -> int:
    """The same for many payments, each named once; returns for how many it was news.

    The number of statements does not depend on how many they are.
    """
    payments = lock_payments(one.payment_id for one in news)
    now = clock.now()
    changed: list[LockedPayment] = []
    facts: list[tuple[DomainEvent, Actor]] = []
    for one in news:
        payment = payments.get(one.payment_id)
        if payment is not None and _take(payment, one.result, at=now):
            changed.append(payment)
            facts.append((_payment_fact(payment), one.actor))
    if changed:
        _save(changed)
        publish_all(facts, at=now)
    return len(changed)


def without_stale_updates(news: Sequence[ChargeUpdate]) -> list[ChargeUpdate]:
    """The news without what is so already, or is of no payment of ours.

    No lock is needed for that, since no payment goes back; most webhooks tell what the answer to
    our own call has told before.
    """
    if not news:
        return []
    rows = Payment.objects.filter(pk__in={one.payment_id for one in news})
    statuses = dict(rows.values_list("pk", "status"))
    return [
        one
        for one in news
        if statuses.get(one.payment_id, _CHARGES[one.result.status]) != _CHARGES[one.result.status]
    ]


def _take(payment: LockedPayment, result: ChargeResult, *, at: datetime) -> bool:
    """Change `payment` as `result` says; False if that leads nowhere from where it is."""
    status = _CHARGES[result.status]
    if status not in PAYMENT_TRANSITIONS[PaymentStatus(payment.status)]:
        if status is PaymentStatus.CAPTURED and payment.status != PaymentStatus.CAPTURED:
            # Money was taken for what has ended without any; a person has to look at it.
            log.error("captured_after_the_end", payment_id=str(payment.id), status=payment.status)
        return False
    if status is PaymentStatus.CAPTURED and result.captured_amount != payment.amount:
        # Never seen from a provider that honours the call; a person has to look at it.
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
    """Write what became of the payments; nothing is left to be done about them."""
    update_rows(
        Payment,
        _COLUMNS,
        (
            (
                payment.id,
                payment.status,
                payment.provider_reference,
                payment.failure_code,
                payment.failure_message,
                payment.captured_amount,
                payment.captured_at,
                payment.updated_at,
                *("", 0, "", None, None),
            )
            for payment in payments
        ),
    )


def _payment_fact(payment: LockedPayment) -> DomainEvent:
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
        # The money is still ours, and somebody waits for it: a person has to look at it.
        log.error("refund_failed", refund_id=str(refund.id), code=failure_code)
        refund.failure_code = failure_code[:_CODE_LENGTH] or "refused"
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
