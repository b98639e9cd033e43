"""Celery: expiring unpaid orders."""

from __future__ import annotations

import time

from celery import shared_task

from oms.db.clock import database_time
from orders.operations.cancelling import expire_orders

# The longest run in seconds: less than the time limit of tasks, and than the schedule's interval,
# or all processes of the worker could be busy with it.
_SECONDS = 12.0


@shared_task(name="orders.expire")
def expire_overdue_orders() -> None:
    """Expire the overdue orders; safe to run at any time, and where the clock is wrong."""
    expire_orders(at=database_time(), deadline=time.monotonic() + _SECONDS)
