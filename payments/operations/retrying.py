"""Manual retries of payments and refunds by staff."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.db.models.functions import Now

from oms.core.actor import Actor
from oms.core.permissions import Permission
from oms.db.transactions import transaction
from oms.events.publishing import publish
from oms.events.types import DomainEvent
from oms.queue.wakeups import wake_on_commit
from payments.events import PaymentRetryRequested, RefundRetryRequested
from payments.models import Payment, Refund
from payments.operations.attempts import PROCESS_TASK


@transaction
def retry_now(*, actor: Actor, work: Payment | Refund) -> None:
    """Make the payment or refund due at once, with all its attempts again.

    Without effect if its outcome is known: what is final must not be sent again. Raises
    PermissionDenied.
    """
    actor.require(Permission.PAYMENTS_VIEW, Permission.PAYMENTS_RETRY)
    rows: QuerySet[Any] = type(work)._default_manager.filter(work.unfinished, pk=work.pk)
    if rows.update(next_attempt_at=Now(), attempts=0):
        publish(_event(work), actor=actor)
        wake_on_commit(PROCESS_TASK)


def _event(work: Payment | Refund) -> DomainEvent:
    if isinstance(work, Payment):
        return PaymentRetryRequested(payment_id=work.id, order_id=work.order_id)
    return RefundRetryRequested(
        refund_id=work.id, payment_id=work.payment_id, order_id=work.order_id
    )
