"""Celery: payments and refunds that are due."""

from __future__ import annotations

from celery import shared_task

from oms.core.leases import drain
from oms.core.waking import wake, woken
from payments.operations.making import make_next_payment, make_next_refund
from payments.operations.requesting import DRAIN_TASK


@shared_task(name=DRAIN_TASK)
def drain_payments() -> None:
    """Work off what is due, for at most half a minute.

    Never retried by Celery: what is left, or was cut off, is due again by its row.
    """
    woken(DRAIN_TASK)
    for step in (make_next_refund, make_next_payment):
        drain(step, wake_another=lambda: wake(DRAIN_TASK), seconds=15)
