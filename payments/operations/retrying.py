"""Manual retries of payments and refunds by staff."""

from __future__ import annotations

from django.db.models import Q
from django.db.models.functions import Now

from oms.queue.wakeups import wake_on_commit
from payments.models import Payment, Refund, RequestedAction
from payments.operations.attempts import PROCESS_TASK
from payments.states import OPEN, OPEN_REFUNDS


def retry_now(*, work: Payment | Refund) -> None:
    """Make the payment or refund due at once, with all its attempts again.

    Without effect if its outcome is known: what is final must not be sent again.
    """
    is_open = (
        Q(status__in=OPEN_REFUNDS)
        if isinstance(work, Refund)
        else Q(status__in=OPEN) | ~Q(requested_action=RequestedAction.NONE)
    )
    rows = type(work)._default_manager.filter(is_open, pk=work.pk)
    if rows.update(next_attempt_at=Now(), attempts=0):
        wake_on_commit(PROCESS_TASK)
