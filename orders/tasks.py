"""Celery: expiring unpaid orders."""

from __future__ import annotations

import time

from celery import shared_task

from oms.core import clock
from orders.operations.cancelling import expire_orders

# The longest run in seconds: enough for any backlog, and less than the time limit of tasks.
_SECONDS = 20.0


@shared_task(name="orders.expire")
def expire_overdue_orders() -> None:
    """Expire the overdue orders; safe to run at any time."""
    expire_orders(at=clock.now(), deadline=time.monotonic() + _SECONDS)
