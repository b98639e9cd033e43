"""Working off what is due: claim under a lease, call the provider, record what became of it.

The claim is committed before the call and the outcome after it, each in its own transaction; none
is open while the provider thinks. A worker may die at any line: the lease runs out, and the next
one looks the payment up by its key, and sends the same key again if the provider knows nothing.
"""

from __future__ import annotations

from datetime import timedelta

import structlog
from django.db import models
from django.db.models.functions import Now

from oms.core.actor import Actor, system
from oms.core.db import durable, transaction
from oms.core.leases import LeasedWork, backoff, claim_next
from oms.core.waking import wake_on_commit
from oms.events.publishing import publish
from payments.events import PaymentBecameUnknown
from payments.gateways.base import (
    ChargeResult,
    ChargeStatus,
    Gateway,
    GatewayMisconfigured,
    GatewayRejected,
    GatewayUnknownOutcome,
    RefundResult,
)
from payments.gateways.base import RefundStatus as RefundOutcome
from payments.gateways.registry import gateway_for
from payments.locks import lock_payment, lock_refund
from payments.models import Payment, Refund, WantedStep
from payments.operations.outcomes import record_charge, record_refund
from payments.operations.requesting import DRAIN_TASK
from payments.states import OPEN, CaptureMethod, PaymentStatus, RefundStatus

log = structlog.get_logger(__name__)

# Longer than the longest call (2 s to connect, 8 s to read, for a look-up and a charge).
LEASE = timedelta(seconds=30)
# After that many attempts without an answer a person has to look; about eight hours.
MAX_ATTEMPTS = 60


@durable
def make_next_payment() -> bool:
    """Take the next step of the payment that is most overdue; False if none is due."""
    payment = claim_next(Payment, lease=LEASE)
    if payment is None:
        return False
    actor = _actor(payment)
    first_call = payment.status == PaymentStatus.CREATED
    if first_call and not _begin(payment):
        return True  # cancelled, or overtaken by news
    try:
        gateway = gateway_for(payment.provider)
        result = _step(payment, gateway=gateway, first_call=first_call)
    except GatewayRejected as refusal:
        _refused(payment, refusal, actor=actor)
    except (GatewayUnknownOutcome, GatewayMisconfigured) as error:
        _postpone_payment(payment, error, actor=actor)
    else:
        record_charge(actor=actor, payment_id=payment.id, result=result)
    return True


def _begin(payment: Payment) -> bool:
    """Note that the provider is about to be called; False if the payment is not wanted any more."""
    return bool(
        Payment.objects.filter(
            pk=payment.pk,
            status=PaymentStatus.CREATED,
            fencing_token=payment.fencing_token,
        ).update(status=PaymentStatus.PROCESSING)
    )


def _step(payment: Payment, *, gateway: Gateway, first_call: bool) -> ChargeResult:
    key = str(payment.id)
    if payment.status == PaymentStatus.AUTHORIZED:
        if payment.wanted == WantedStep.CAPTURE:
            return gateway.capture(
                key=key, provider_reference=payment.provider_reference, amount=payment.amount
            )
        return gateway.void(key=key, provider_reference=payment.provider_reference)
    # An earlier call may have been answered to nobody.
    known = None if first_call else gateway.look_up(key=key)
    if known is not None:
        return known
    return gateway.charge(
        key=key,
        amount=payment.amount,
        currency=payment.currency,
        token=payment.token,
        capture=payment.capture_method == CaptureMethod.AUTOMATIC,
        reference=str(payment.order_id),
    )


def _refused(payment: Payment, refusal: GatewayRejected, *, actor: Actor) -> None:
    if payment.status == PaymentStatus.AUTHORIZED:
        # The authorisation stands, but its capture or void is refused: for a person to look at.
        _settle(payment, next_attempt_at=None, last_error=str(refusal), wanted=WantedStep.NONE)
        return
    record_charge(
        actor=actor,
        payment_id=payment.id,
        result=ChargeResult(
            status=ChargeStatus.DECLINED,
            provider_reference="",
            amount=payment.amount,
            currency=payment.currency,
            captured_amount=payment.captured_amount,
            refunded_amount=payment.refunded_amount,
            decline_code=refusal.code,
            decline_message=refusal.message,
        ),
    )


@transaction
def _postpone_payment(payment: Payment, error: Exception, *, actor: Actor) -> None:
    log.warning("payment_postponed", payment_id=str(payment.id), error=str(error))
    fresh = lock_payment(payment.id)
    if fresh is None or fresh.fencing_token != payment.fencing_token:
        return
    if fresh.status in OPEN or fresh.wanted:
        _settle(fresh, next_attempt_at=_again(fresh), last_error=str(error))
    if isinstance(error, GatewayUnknownOutcome) and fresh.status == PaymentStatus.PROCESSING:
        fresh.status = PaymentStatus.UNKNOWN
        fresh.save(update_fields=["status"])
        publish(PaymentBecameUnknown(payment_id=fresh.id, order_id=fresh.order_id), actor=actor)


@durable
def make_next_refund() -> bool:
    """Send the refund that is most overdue; False if none is due."""
    refund = claim_next(Refund, lease=LEASE)
    if refund is None:
        return False
    payment = Payment.objects.get(pk=refund.payment_id)
    first_call = refund.status == RefundStatus.REQUESTED
    Refund.objects.filter(
        pk=refund.pk, status=RefundStatus.REQUESTED, fencing_token=refund.fencing_token
    ).update(status=RefundStatus.PROCESSING)
    actor = _actor(refund)
    key = str(refund.id)
    try:
        gateway = gateway_for(payment.provider)
        known = None if first_call else gateway.look_up_refund(key=key)
        result = known or gateway.refund(
            key=key,
            provider_reference=payment.provider_reference,
            amount=refund.amount,
            reason=refund.reason,
        )
    except GatewayRejected as refusal:
        failed = RefundResult(
            status=RefundOutcome.FAILED,
            provider_reference="",
            charge_reference=payment.provider_reference,
            amount=refund.amount,
        )
        record_refund(actor=actor, refund_id=refund.id, result=failed, failure_code=refusal.code)
    except (GatewayUnknownOutcome, GatewayMisconfigured) as error:
        _postpone_refund(refund, error)
    else:
        record_refund(actor=actor, refund_id=refund.id, result=result)
    return True


@transaction
def _postpone_refund(refund: Refund, error: Exception) -> None:
    log.warning("refund_postponed", refund_id=str(refund.id), error=str(error))
    fresh = lock_refund(refund.id)
    if fresh is None or fresh.fencing_token != refund.fencing_token:
        return
    if fresh.status in (RefundStatus.PROCESSING, RefundStatus.UNKNOWN):
        _settle(fresh, next_attempt_at=_again(fresh), last_error=str(error))
        Refund.objects.filter(pk=fresh.pk).update(status=RefundStatus.UNKNOWN)


def retry_now(*, work: Payment | Refund) -> None:
    """Let a worker look at the payment or refund at once, however often it was tried."""
    type(work)._default_manager.filter(pk=work.pk).update(next_attempt_at=Now(), attempts=0)
    wake_on_commit(DRAIN_TASK)


def _again(work: LeasedWork) -> models.Expression | None:
    """When to try again, by the database's clock; None when a person has to look."""
    if work.attempts >= MAX_ATTEMPTS:
        return None
    return Now() + backoff(work.attempts, first=1, longest=600)


def _settle(work: Payment | Refund, **values: object) -> None:
    """Give up the lease, unless it is another's by now, and note when to come again."""
    type(work)._default_manager.filter(pk=work.pk, fencing_token=work.fencing_token).update(
        lease_until=None, **values
    )


def _actor(work: Payment | Refund) -> Actor:
    return system("payments", request_id=f"{work._meta.model_name}-{work.pk}")
