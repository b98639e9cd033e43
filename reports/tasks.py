"""Celery: closing the days that are over."""

from __future__ import annotations

from celery import shared_task

from oms.core import clock
from reports.operations.reporting import close_days


@shared_task(name="reports.close_days")
def close_days_that_are_over() -> None:
    """Store the reports of closed days; what one run leaves, the next one takes."""
    close_days(now=clock.now())
