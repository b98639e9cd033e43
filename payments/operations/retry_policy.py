"""When a payment or refund without a known outcome is tried again."""

from __future__ import annotations

from typing import Any

import structlog
from django.db import models
from django.db.models.functions import Now

from oms.core.actor import Actor
from oms.db.transactions import transaction
from oms.events.publishing import publish
from oms.queue.leases import backoff
from payments.events import PaymentBecameUnknown
from payments.gateways.base import GatewayMisconfigured, GatewayUnknownOutcome
from payments.locks import lock_payment, lock_refund
from payments.models import Payment, Refund
from payments.states import OPEN, OPEN_REFUNDS, PaymentStatus, RefundStatus

log = structlog.get_logger(__name__)

# After so many attempts without an outcome, about eight hours, staff must check it.
MAX_ATTEMPTS = 60


@transaction
def reschedule_payment(*, payment: Payment, error: BaseException, actor: Actor) -> None:
    """Retry the claimed payment after a pause; it becomes `unknown` if it may have been sent."""
    _log_rescheduled(payment, error)
    current = lock_payment(payment.id)
    if current is None or current.fencing_token != payment.fencing_token:
        return
    if current.status not in OPEN and not current.requested_action:
        return
    changes: dict[str, Any] = {}
    if current.status == PaymentStatus.PROCESSING and not isinstance(error, GatewayMisconfigured):
        changes = {"status": PaymentStatus.UNKNOWN, "updated_at": Now()}
        publish(PaymentBecameUnknown(payment_id=current.id, order_id=current.order_id), actor=actor)
    _release_for_retry(current, error, **changes)


@transaction
def reschedule_refund(*, refund: Refund, error: BaseException) -> None:
    """Retry the claimed refund after a pause; it is `unknown` until then."""
    _log_rescheduled(refund, error)
    current = lock_refund(refund.id)
    if current is None or current.fencing_token != refund.fencing_token:
        return
    if current.status in OPEN_REFUNDS:
        _release_for_retry(current, error, status=RefundStatus.UNKNOWN, updated_at=Now())


def release_lease(work: Payment | Refund, **values: object) -> None:
    """End the lease and write `values`, unless another worker has claimed the row since."""
    type(work)._default_manager.filter(pk=work.pk, fencing_token=work.fencing_token).update(
        lease_until=None, **values
    )


def _release_for_retry(work: Payment | Refund, error: BaseException, **values: object) -> None:
    # By the database's clock; None when staff must check it.
    next_attempt_at: models.Expression | None = None
    if work.attempts < MAX_ATTEMPTS:
        next_attempt_at = Now() + backoff(work.attempts, first=1, longest=600)
    # PostgreSQL stores no NUL, and some of the text is the provider's.
    last_error = str(error).replace("\x00", "")
    release_lease(work, next_attempt_at=next_attempt_at, last_error=last_error, **values)


def _log_rescheduled(work: Payment | Refund, error: BaseException) -> None:
    is_expected = isinstance(error, (GatewayUnknownOutcome, GatewayMisconfigured))
    log.warning(
        "attempt_rescheduled",
        kind=work._meta.model_name,
        id=str(work.pk),
        error=str(error),
        exc_info=None if is_expected else error,
    )
