"""Celery: due payments and refunds, and refunds of charges that were not known."""

from __future__ import annotations

from celery import shared_task

from oms.db.clock import database_time
from oms.queue.leases import process_due_work
from oms.queue.wakeups import wakeups_held
from payments.operations.attempts import PROCESS_TASK
from payments.operations.processing import MAX_CONCURRENT_CALLS, PaymentProcessor
from payments.operations.provider_refunds import match_refunds

# One for each process; its threads start with its first call, after the worker's fork.
_processor = PaymentProcessor()
# How long, in seconds, payments gather while more are coming: they share their statements.
_BATCH_SECONDS = 0.05


@shared_task(name=PROCESS_TASK)
def process_payments() -> None:
    """Process what is due, for 10 seconds, and 2 more for the last calls.

    Never retried by Celery: what is left, or was interrupted, is due again by its row. If another
    worker is processing, this one returns at once, so that batches are larger, unless the other has
    its maximum of calls in flight, or only waits for the last of them.
    """
    if wakeups_held(PROCESS_TASK):
        return
    try:
        process_due_work(
            PROCESS_TASK,
            _processor.work,
            seconds=10,
            pause=_BATCH_SECONDS,
            full=MAX_CONCURRENT_CALLS,
        )
    finally:
        _processor.finish()


@shared_task(name="payments.match_refunds")
def match_unknown_refunds() -> None:
    """Record refunds and disputes whose charges are known by now; safe to run at any time."""
    match_refunds(at=database_time())
