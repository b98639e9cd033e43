"""Refunds that somebody else made at the provider, and disputes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

import structlog

from oms.core import clock
from oms.core.actor import Actor
from oms.core.money import with_currency
from oms.db.transactions import transaction
from oms.events.publishing import publish
from oms.exceptions.kinds import ExceptionKind
from payments.gateways.base import RefundResult
from payments.gateways.base import RefundStatus as RefundOutcome
from payments.locks import lock_payments_of_charge
from payments.models import Payment, Refund
from payments.operations.exceptions import raise_about_refund, settle_refund, settle_refunded
from payments.operations.outcomes import refund_event
from payments.states import REFUND_TRANSITIONS, Origin, RefundStatus

log = structlog.get_logger(__name__)

_STATUSES = {
    RefundOutcome.PENDING: RefundStatus.PROCESSING,
    RefundOutcome.SUCCEEDED: RefundStatus.SUCCEEDED,
    RefundOutcome.FAILED: RefundStatus.FAILED,
}
_REASON_LENGTH = 500


@transaction
def record_provider_refund(*, actor: Actor, provider: str, result: RefundResult) -> bool:
    """Record a refund or dispute that is none of ours; whether that changed anything.

    It is known by the provider's own id. False as well if we know no payment of its charge.
    """
    payments = lock_payments_of_charge(
        provider=provider, provider_reference=result.charge_reference
    )
    if not payments:
        log.warning("refund_of_unknown_charge", provider=provider, charge=result.charge_reference)
        return False
    known = Refund.objects.filter(
        payment__in=payments, provider_reference=result.provider_reference
    ).exclude(provider_reference="")
    refunds = list(known.select_for_update(of=("self",), no_key=True).order_by("id"))
    now = clock.now()
    if not refunds:
        return _create(payments, result, actor=actor, at=now)
    by_id = {payment.id: payment for payment in payments}
    changed = [
        _change(by_id[refund.payment_id], refund, result, actor=actor, at=now)
        for refund in refunds
        if refund.origin == Origin.PROVIDER
    ]
    return any(changed)


def _create(
    payments: Sequence[Payment], result: RefundResult, *, actor: Actor, at: datetime
) -> bool:
    """A charge that was recorded in parts has its refund in parts."""
    if result.status is RefundOutcome.FAILED:
        return False
    left = result.amount
    for payment in payments:
        amount = min(left, payment.captured_amount - payment.refunded_at_provider)
        if amount <= 0:
            continue
        left -= amount
        refund = Refund.objects.create(
            payment=payment,
            order_id=payment.order_id,
            origin=Origin.PROVIDER,
            is_dispute=result.is_dispute,
            amount=amount,
            currency=payment.currency,
            reason=_reason(result),
            status=RefundStatus.PROCESSING,
            provider_reference=result.provider_reference,
            created_at=at,
            updated_at=at,
            next_attempt_at=None,
        )
        _count(payment, amount, at=at)
        if result.status is RefundOutcome.PENDING:
            if result.is_dispute:
                _raise_dispute(refund, actor=actor)
        else:
            _finish(payment, refund, RefundStatus.SUCCEEDED, actor=actor, at=at)
    if left:
        log.error("refund_exceeds_captured_at_provider", refund=result.provider_reference)
    return left < result.amount


def _change(
    payment: Payment, refund: Refund, result: RefundResult, *, actor: Actor, at: datetime
) -> bool:
    status = _STATUSES[result.status]
    if status not in REFUND_TRANSITIONS[RefundStatus(refund.status)]:
        return False
    if status is RefundStatus.FAILED:
        _count(payment, -refund.amount, at=at)
    _finish(payment, refund, status, actor=actor, at=at)
    settle_refund(refund, actor=actor)
    return True


def _finish(
    payment: Payment, refund: Refund, status: RefundStatus, *, actor: Actor, at: datetime
) -> None:
    refund.status = status
    refund.updated_at = at
    if status is RefundStatus.SUCCEEDED:
        refund.succeeded_at = at
    else:
        refund.failure_code = "dispute_won" if refund.is_dispute else "refused"
    refund.save(update_fields=["status", "updated_at", "succeeded_at", "failure_code"])
    publish(refund_event(refund), actor=actor, at=at)
    if status is RefundStatus.SUCCEEDED:
        settle_refunded(payment, refund, actor=actor)


def _count(payment: Payment, amount: Decimal, *, at: datetime) -> None:
    payment.refunded_amount += amount
    payment.refunded_at_provider += amount
    payment.updated_at = at
    payment.save(update_fields=["refunded_amount", "refunded_at_provider", "updated_at"])


def _raise_dispute(refund: Refund, *, actor: Actor) -> None:
    amount = with_currency(refund.amount, refund.currency)
    raise_about_refund(
        ExceptionKind.DISPUTE,
        f"The customer disputes {amount}: {refund.reason}",
        refund_id=refund.id,
        payment_id=refund.payment_id,
        order_id=refund.order_id,
        actor=actor,
    )


def _reason(result: RefundResult) -> str:
    return result.reason.replace("\x00", "")[:_REASON_LENGTH]
