"""Celery: booking the rest of receipts."""

from __future__ import annotations

from functools import partial

from celery import shared_task

from inventory.operations.receiving import BOOK_TASK, book_unfinished_receipts
from oms.queue.leases import process_due_work
from oms.queue.wakeups import wakeups_held

# The longest run in seconds, less than the time limit of tasks.
_SECONDS = 10.0


@shared_task(name=BOOK_TASK)
def book_receipts() -> None:
    """Book what is left of unfinished receipts; another task that does so is enough."""
    if not wakeups_held(BOOK_TASK):
        step = partial(book_unfinished_receipts, failed=set())
        process_due_work(BOOK_TASK, step, seconds=_SECONDS)
