"""Celery: orders whose time is up."""

from __future__ import annotations

from celery import shared_task

from oms.core import clock
from orders.operations.cancelling import expire_orders


@shared_task(name="orders.expire")
def expire_overdue_orders() -> None:
    """Expire all orders that were not paid in time; safe to run at any time."""
    while expire_orders(at=clock.now()):
        pass
