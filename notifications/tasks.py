"""The Celery task that sends due mail."""

from __future__ import annotations

from celery import shared_task

from notifications.operations.sending import BATCH_SIZE, MailSender
from notifications.operations.subscriptions import SEND_TASK
from oms.queue.leases import process_due_work

# One per process, so that it remembers an unavailable mail server.
_sender = MailSender()
# Seconds between two batches while more mail arrives: a batch shares a connection and statements.
_PAUSE = 0.2


@shared_task(name=SEND_TASK)
def send_due_mail() -> None:
    """Send due mail, for 5 seconds and the time of the last batch: 12 at most.

    Never retried by Celery: unsent mail stays due by its row.
    """
    try:
        process_due_work(SEND_TASK, _sender.send_batch, seconds=5, pause=_PAUSE, full=BATCH_SIZE)
    finally:
        _sender.close()
