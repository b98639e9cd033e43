"""Events that a consumer failed to handle: retried later, given up after too many attempts.

A retry holds the row's lock, in one transaction with what the handler writes, so no lease is
needed: if the worker dies, everything is rolled back.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from math import inf

import structlog
from django.db import transaction
from django.db.models.functions import Now

from oms.core.actor import Actor, system
from oms.core.permissions import Permission
from oms.events.models import DeadLetter
from oms.events.publishing import RELAY_TASK
from oms.events.relay import BATCH, Consumer, try_to_handle
from oms.queue.leases import given_up, retry_policy
from oms.queue.wakeups import wake_on_commit

log = structlog.get_logger(__name__)


def retry_failed_events(
    consumer: Consumer,
    *,
    deadline: float = inf,
    on_given_up: Callable[[DeadLetter], None] = lambda letter: None,
    on_handled: Callable[[DeadLetter], None] = lambda letter: None,
) -> int:
    """Retry the failed events of `consumer` that are due; returns how many succeeded.

    Until `deadline` of `time.monotonic`. What else follows from an outcome is written by
    `on_given_up` and `on_handled`, in its transaction.
    """
    succeeded = 0
    due = DeadLetter.objects.filter(consumer=consumer.name, next_attempt_at__lte=Now())
    for id in list(due.order_by("event_id").values_list("pk", flat=True)[:BATCH]):
        if time.monotonic() >= deadline:
            break
        with transaction.atomic():
            failed = (
                due.filter(pk=id)
                .select_for_update(of=("self",), skip_locked=True)
                .select_related("event")
                .first()
            )
            if failed is None:
                continue
            error = try_to_handle(consumer, [failed.event])
            if error is None:
                on_handled(failed)
                failed.delete()
                succeeded += 1
                continue
            failed.attempts += 1
            failed.last_error = repr(error)
            pause = retry_policy(DeadLetter).pause_after(failed.attempts)
            failed.next_attempt_at = None if pause is None else Now() + pause
            failed.save(update_fields=["attempts", "last_error", "next_attempt_at"])
            if pause is None:
                on_given_up(failed)
    return succeeded


def retry_dead_letter(*, actor: Actor, dead_letter_id: int) -> None:
    """Let a failed event be retried at once, with all its attempts again.

    Raises PermissionDenied.
    """
    actor.require(Permission.AUDIT_VIEW)
    DeadLetter.objects.filter(pk=dead_letter_id).update(next_attempt_at=Now(), attempts=0)
    wake_on_commit(RELAY_TASK)


@transaction.atomic
def retry_dead_letters() -> list[str]:
    """Let every dead letter be retried; a sentence for each, which is logged too."""
    retried, actor = [], system("reconcile")
    for letter in given_up(DeadLetter).order_by("event_id"):
        retry_dead_letter(actor=actor, dead_letter_id=letter.pk)
        retried.append(f"event {letter.event_id}: will be retried by {letter.consumer}")
        log.info("reconcile_repaired", kind="event", id=str(letter.event_id))
    return retried
