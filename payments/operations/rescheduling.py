"""When a payment or refund without a known outcome is tried again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import structlog
from django.db.models.functions import Now

from oms.core import clock
from oms.core.actor import Actor
from oms.db.transactions import transaction
from oms.events.publishing import publish
from oms.exceptions.kinds import ExceptionKind
from oms.queue.leases import reschedule
from payments.events import PaymentBecameUnknown
from payments.gateways.base import GatewayMisconfigured, GatewayUnknownOutcome
from payments.locks import lock_payment, lock_refund
from payments.models import Payment, Refund
from payments.operations.exceptions import (
    raise_about_payment,
    raise_payment_stuck,
    raise_refund_stuck,
)
from payments.states import OPEN, OPEN_REFUNDS, PaymentStatus, RefundStatus

log = structlog.get_logger(__name__)

# After this time a payment without an outcome is an exception, though it is still retried.
LONG_UNKNOWN = timedelta(minutes=15)


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
    if reschedule(current, error=str(error), **changes):
        raise_payment_stuck(current, error=str(error), actor=actor)
    elif (
        current.status == PaymentStatus.UNKNOWN and current.created_at < clock.now() - LONG_UNKNOWN
    ):
        raise_about_payment(
            ExceptionKind.PAYMENT_UNKNOWN,
            f"No outcome after {current.attempts} attempts: {error}",
            payment_id=current.id,
            order_id=current.order_id,
            actor=actor,
        )


@transaction
def reschedule_refund(*, refund: Refund, error: BaseException, actor: Actor) -> None:
    """Retry the claimed refund after a pause; it is `unknown` until then."""
    _log_rescheduled(refund, error)
    current = lock_refund(refund.id)
    if current is None or current.fencing_token != refund.fencing_token:
        return
    if current.status in OPEN_REFUNDS:
        values = {"status": RefundStatus.UNKNOWN, "updated_at": Now()}
        if reschedule(current, error=str(error), **values):
            raise_refund_stuck(current, error=str(error), actor=actor)


def _log_rescheduled(work: Payment | Refund, error: BaseException) -> None:
    is_expected = isinstance(error, (GatewayUnknownOutcome, GatewayMisconfigured))
    log.warning(
        "attempt_rescheduled",
        kind=work._meta.model_name,
        id=str(work.pk),
        error=str(error),
        exc_info=None if is_expected else error,
    )
