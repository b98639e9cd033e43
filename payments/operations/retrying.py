"""Staff's second chance for payments and refunds that were given up."""

from __future__ import annotations

from django.db.models import Q
from django.db.models.functions import Now

from oms.queue.wakeups import wake_on_commit
from payments.models import Payment, Refund, RequestedAction
from payments.operations.attempts import DRAIN_TASK
from payments.states import OPEN, OPEN_REFUNDS


def retry_now(*, work: Payment | Refund) -> None:
    """Let a worker look at the payment or refund at once, however often it was tried.

    Without effect if its outcome is known by now: what has ended must not be sent again.
    """
    is_open = (
        Q(status__in=OPEN_REFUNDS)
        if isinstance(work, Refund)
        else Q(status__in=OPEN) | ~Q(requested_action=RequestedAction.NONE)
    )
    rows = type(work)._default_manager.filter(is_open, pk=work.pk)
    if rows.update(next_attempt_at=Now(), attempts=0):
        wake_on_commit(DRAIN_TASK)
