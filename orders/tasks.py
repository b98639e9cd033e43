"""Celery: expiring unpaid orders."""

from __future__ import annotations

from celery import shared_task

from oms.core import clock
from orders.operations.cancelling import expire_orders


@shared_task(name="orders.expire")
def expire_overdue_orders() -> None:
    """Expire the overdue orders; safe to run at any time."""
    expire_orders(at=clock.now())
