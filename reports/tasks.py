"""The Celery task that closes days."""

from __future__ import annotations

from celery import shared_task

from oms.core import clock
from reports.operations.reporting import close_days


@shared_task(name="reports.close_days")
def close_days_that_are_over() -> None:
    """Store the reports of closed days; the next run continues where this one ends."""
    close_days(now=clock.now())
