"""Celery: payments and refunds that are due."""

from __future__ import annotations

from celery import shared_task

from oms.core.leases import drain
from oms.core.waking import wake, woken
from payments.operations.making import Cashier
from payments.operations.requesting import DRAIN_TASK

# One for each process; its threads are begun with its first call, after the worker's fork.
_cashier = Cashier()


@shared_task(name=DRAIN_TASK)
def drain_payments() -> None:
    """Work off what is due, for at most half a minute: 15 seconds, and the last call's time.

    Never retried by Celery: what is left, or was cut off, is due again by its row.
    """
    woken(DRAIN_TASK)
    try:
        drain(_cashier.work, wake_another=lambda: wake(DRAIN_TASK), seconds=15)
    finally:
        _cashier.finish()
