"""Celery: expiring unpaid orders."""

from __future__ import annotations

import time

from celery import shared_task

from oms.core import clock
from orders.operations.cancelling import expire_orders

# How long, in seconds, a run goes on: longer than any backlog takes, shorter than a task may run.
_SECONDS = 30.0


@shared_task(name="orders.expire")
def expire_overdue_orders() -> None:
    """Expire the overdue orders; safe to run at any time."""
    expire_orders(at=clock.now(), deadline=time.monotonic() + _SECONDS)
