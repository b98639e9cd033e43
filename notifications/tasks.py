"""Celery: mail that is due."""

from __future__ import annotations

from celery import shared_task

from notifications.operations.queueing import DRAIN_TASK
from notifications.operations.sending import Postman
from oms.core.leases import drain
from oms.core.waking import wake, woken

# One for each process, so that it remembers a mail server that is away.
_postman = Postman()


@shared_task(name=DRAIN_TASK)
def drain_notifications() -> None:
    """Send what is due, for at most a quarter of a minute.

    Never retried by Celery: what is left, or was cut off, is due again by its row.
    """
    woken(DRAIN_TASK)
    try:
        drain(
            lambda: bool(_postman.send_batch()), wake_another=lambda: wake(DRAIN_TASK), seconds=15
        )
    finally:
        _postman.close()
