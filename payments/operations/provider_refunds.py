"""Refunds that somebody else made at the provider, and disputes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

import structlog
from django.db import OperationalError
from django.db.models import Exists, F, OuterRef

from oms.core import clock
from oms.core.actor import Actor, system
from oms.core.errors import Unavailable
from oms.core.money import ZERO, with_currency
from oms.db.transactions import durable, transaction
from oms.events.publishing import publish
from oms.exceptions.kinds import ExceptionKind
from payments.gateways.base import RefundResult
from payments.gateways.base import RefundStatus as RefundOutcome
from payments.locks import lock_charge, lock_payments_of_charge
from payments.models import Payment, Refund, UnmatchedRefund
from payments.operations.exceptions import (
    raise_about_refund,
    raise_unmatched,
    settle_refund,
    settle_refunded,
    settle_unmatched,
)
from payments.operations.outcomes import refund_event
from payments.states import DISPUTE_WON, REFUND_TRANSITIONS, Origin, RefundStatus

log = structlog.get_logger(__name__)

_STATUSES = {
    RefundOutcome.PENDING: RefundStatus.PROCESSING,
    RefundOutcome.SUCCEEDED: RefundStatus.SUCCEEDED,
    RefundOutcome.FAILED: RefundStatus.FAILED,
}
_REASON_LENGTH = 500
# How long a refund waits for its charge to be known until it is an exception.
UNMATCHED_AFTER = timedelta(minutes=15)
_BATCH = 100
_ACTOR = system("payments")


@transaction
def record_provider_refund(*, actor: Actor, provider: str, result: RefundResult) -> bool:
    """Record a refund or dispute that is none of ours; whether that changed anything.

    It is known by the provider's own id. What fits no money that we know of is kept until its
    charge is known (`match_refunds`), and what failed so that late messages change nothing.
    """
    payments = lock_payments_of_charge(
        provider=provider, provider_reference=result.charge_reference
    )
    known = Refund.objects.filter(
        payment__in=payments, provider_reference=result.provider_reference
    ).exclude(provider_reference="")
    refunds = list(known.select_for_update(of=("self",), no_key=True).order_by("id"))
    now = clock.now()
    by_id = {payment.id: payment for payment in payments}
    changed = [
        _change(by_id[refund.payment_id], refund, result, actor=actor, at=now)
        for refund in refunds
        if refund.origin == Origin.PROVIDER
    ]
    # Two messages about the same one may arrive at once.
    lock_charge(provider=provider, key=result.charge_reference)
    unmatched = UnmatchedRefund.objects.filter(
        provider=provider, provider_reference=result.provider_reference
    ).first()
    if unmatched is None:
        if refunds:
            return any(changed)
        unmatched = UnmatchedRefund(
            provider=provider,
            provider_reference=result.provider_reference,
            charge_reference=result.charge_reference,
            amount=result.amount,
            currency=result.currency,
            status=_STATUSES[result.status],
            is_dispute=result.is_dispute,
            reason=_reason(result),
            created_at=now,
        )
    elif _STATUSES[result.status] in REFUND_TRANSITIONS[RefundStatus(unmatched.status)]:
        unmatched.status = _STATUSES[result.status]
    return _match(payments, unmatched, actor=actor, at=now) or any(changed)


@durable
def match_refunds(*, at: datetime) -> int:
    """Record the unmatched refunds whose charges are known by now; returns how many.

    Those that have waited for long become exceptions, once.
    """
    captured = Payment.objects.filter(
        provider_reference=OuterRef("charge_reference"),
        provider=OuterRef("provider"),
        captured_amount__gt=F("refunded_amount"),
    ).exclude(provider_reference="")  # by the partial index of the references
    matchable = UnmatchedRefund.objects.filter(Exists(captured), amount__gt=ZERO).order_by("id")
    matched = 0
    for id in list(matchable.values_list("pk", flat=True)):
        try:
            matched += _match_known(id, at=at)
        except (OperationalError, Unavailable):
            raise
        except Exception:  # one that cannot be recorded must not stop the others
            log.exception("unmatched_refund_failed", id=str(id))
    _report_unmatched(at=at)
    return matched


@transaction
def _match_known(id: UUID, *, at: datetime) -> bool:
    charge = UnmatchedRefund.objects.get(pk=id)
    payments = lock_payments_of_charge(
        provider=charge.provider, provider_reference=charge.charge_reference
    )
    lock_charge(provider=charge.provider, key=charge.charge_reference)
    unmatched = UnmatchedRefund.objects.filter(pk=id).first()
    return unmatched is not None and _match(payments, unmatched, actor=_ACTOR, at=at)


@transaction
def _report_unmatched(*, at: datetime) -> None:
    waiting = UnmatchedRefund.objects.filter(
        is_reported=False, amount__gt=ZERO, created_at__lt=at - UNMATCHED_AFTER
    )
    for unmatched in waiting.select_for_update(skip_locked=True).order_by("id")[:_BATCH]:
        raise_unmatched(unmatched, actor=_ACTOR)
        unmatched.is_reported = True
        unmatched.save(update_fields=["is_reported"])


def _match(
    payments: Sequence[Payment], unmatched: UnmatchedRefund, *, actor: Actor, at: datetime
) -> bool:
    """Record what of it fits the locked payments, and keep the rest; whether anything changed."""
    is_new, amount, status = unmatched._state.adding, unmatched.amount, unmatched.status
    if status == RefundStatus.FAILED:
        unmatched.amount = ZERO
    elif unmatched.currency:
        payments = [each for each in payments if each.currency == unmatched.currency]
    if unmatched.amount:
        unmatched.amount = _record(payments, unmatched, actor=actor, at=at)
    if unmatched.amount:
        log.warning("refund_unmatched", refund=unmatched.provider_reference)
    elif not is_new:
        settle_unmatched(unmatched, actor=actor)
    # What failed is kept: a message that it is in progress may come late.
    if unmatched.amount or status == RefundStatus.FAILED:
        unmatched.save()
    elif not is_new:
        unmatched.delete()
    return is_new or unmatched.amount != amount


def _record(
    payments: Sequence[Payment], unmatched: UnmatchedRefund, *, actor: Actor, at: datetime
) -> Decimal:
    """A charge that was recorded in parts has its refund in parts. Returns what fits none.

    What fits only later is a part of its own, so that what is reported of the day of the first
    stays as it was.
    """
    left: Decimal = unmatched.amount
    for payment in payments:
        amount = min(left, _room(payment, unmatched))
        if amount <= 0:
            continue
        left -= amount
        refund = Refund.objects.create(
            payment=payment,
            order_id=payment.order_id,
            origin=Origin.PROVIDER,
            is_dispute=unmatched.is_dispute,
            amount=amount,
            currency=payment.currency,
            reason=unmatched.reason,
            status=RefundStatus.PROCESSING,
            provider_reference=unmatched.provider_reference,
            created_at=at,
            updated_at=at,
            next_attempt_at=None,
        )
        _count(payment, amount, at=at)
        if unmatched.status == RefundStatus.SUCCEEDED:
            _finish(payment, refund, RefundStatus.SUCCEEDED, actor=actor, at=at)
        elif unmatched.is_dispute:
            _raise_dispute(refund, actor=actor)
    return left


def _room(payment: Payment, unmatched: UnmatchedRefund) -> Decimal:
    """What was captured less the refunds that have not failed; may be negative.

    For a refund that others have made, those of the shop that are in progress leave room: the
    provider refuses them.
    """
    room: Decimal = payment.captured_amount - payment.refunded_amount
    if not unmatched.is_dispute:
        room += sum(payment.refunds.filter(Refund.unfinished).values_list("amount", flat=True))
    return room


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
        refund.failure_code = DISPUTE_WON if refund.is_dispute else "refused"
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
