"""What becomes of a payment or refund whose outcome is not known yet: it is tried again later."""

from __future__ import annotations

from typing import Any

import structlog
from django.db import models
from django.db.models.functions import Now

from oms.core.actor import Actor
from oms.db.transactions import transaction
from oms.events.publishing import publish
from oms.queue.leases import LeasedWork, backoff
from payments.events import PaymentBecameUnknown
from payments.gateways.base import GatewayMisconfigured, GatewayUnknownOutcome
from payments.locks import lock_payment, lock_refund
from payments.models import Payment, Refund
from payments.states import OPEN, OPEN_REFUNDS, PaymentStatus, RefundStatus

log = structlog.get_logger(__name__)

# After that many attempts without an answer a person has to look; about eight hours.
MAX_ATTEMPTS = 60


@transaction
def reschedule_payment(*, payment: Payment, error: BaseException, actor: Actor) -> None:
    """Try the claimed payment again after a pause; it is unknown if it was perhaps sent."""
    _log_postponed(payment, error)
    fresh = lock_payment(payment.id)
    if fresh is None or fresh.fencing_token != payment.fencing_token:
        return
    if fresh.status not in OPEN and not fresh.requested_action:
        return
    changes: dict[str, Any] = {"next_attempt_at": _again(fresh), "last_error": _said(error)}
    if fresh.status == PaymentStatus.PROCESSING and not isinstance(error, GatewayMisconfigured):
        changes |= {"status": PaymentStatus.UNKNOWN, "updated_at": Now()}
        publish(PaymentBecameUnknown(payment_id=fresh.id, order_id=fresh.order_id), actor=actor)
    settle(work=fresh, **changes)


@transaction
def reschedule_refund(*, refund: Refund, error: BaseException) -> None:
    """The same for a claimed refund."""
    _log_postponed(refund, error)
    fresh = lock_refund(refund.id)
    if fresh is None or fresh.fencing_token != refund.fencing_token:
        return
    if fresh.status in OPEN_REFUNDS:
        settle(
            work=fresh,
            status=RefundStatus.UNKNOWN,
            updated_at=Now(),
            next_attempt_at=_again(fresh),
            last_error=_said(error),
        )


def _log_postponed(work: Payment | Refund, error: BaseException) -> None:
    is_expected = isinstance(error, (GatewayUnknownOutcome, GatewayMisconfigured))
    log.warning(
        "work_postponed",
        kind=work._meta.model_name,
        id=str(work.pk),
        error=str(error),
        exc_info=None if is_expected else error,
    )


def _said(error: BaseException) -> str:
    """The error in words that PostgreSQL can keep; some of them are the provider's."""
    return str(error).replace("\x00", "")


def settle(*, work: Payment | Refund, **values: object) -> None:
    """Give up the lease, unless it is another's by now, and write `values`."""
    type(work)._default_manager.filter(pk=work.pk, fencing_token=work.fencing_token).update(
        lease_until=None, **values
    )


def _again(work: LeasedWork) -> models.Expression | None:
    """When to try again, by the database's clock; None when a person has to look."""
    if work.attempts >= MAX_ATTEMPTS:
        return None
    return Now() + backoff(work.attempts, first=1, longest=600)
