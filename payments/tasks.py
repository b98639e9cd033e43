"""Celery: payments and refunds that are due."""

from __future__ import annotations

from celery import shared_task

from oms.queue.leases import process_due_work
from oms.queue.wakeups import is_awake
from payments.operations.attempts import DRAIN_TASK
from payments.operations.processing import AT_ONCE, PaymentProcessor

# One for each process; its threads are begun with its first call, after the worker's fork.
_cashier = PaymentProcessor()
# How long, in seconds, payments gather while more are coming: they share their statements.
_GATHERING = 0.05


@shared_task(name=DRAIN_TASK)
def drain_payments() -> None:
    """Work off what is due, for at most half a minute: 15 seconds, and the last call's time.

    Never retried by Celery: what is left, or was cut off, is due again by its row. Another worker
    that is sent meanwhile leaves the work to this one, whose batches are the larger for it, unless
    this one has as many calls under way as it may, or only waits for the last of them.
    """
    if is_awake(DRAIN_TASK):
        return
    try:
        process_due_work(DRAIN_TASK, _cashier.work, seconds=15, pause=_GATHERING, full=AT_ONCE)
    finally:
        _cashier.finish()
