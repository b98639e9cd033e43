"""Celery: mail that is due."""

from __future__ import annotations

from celery import shared_task

from notifications.operations.sending import AT_ONCE, MailSender
from notifications.operations.subscriptions import DRAIN_TASK
from oms.queue.leases import process_due_work

# One for each process, so that it remembers a mail server that is away.
_postman = MailSender()
# How long, in seconds, mail gathers while more is coming: it shares connections and statements.
_GATHERING = 0.2


@shared_task(name=DRAIN_TASK)
def drain_notifications() -> None:
    """Send what is due, for at most a quarter of a minute.

    Never retried by Celery: what is left, or was cut off, is due again by its row.
    """
    try:
        process_due_work(
            DRAIN_TASK, _postman.send_batch, seconds=15, pause=_GATHERING, full=AT_ONCE
        )
    finally:
        _postman.close()
