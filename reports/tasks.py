"""The Celery tasks that add up and close days."""

from __future__ import annotations

from celery import shared_task

from oms.core import clock
from reports.operations.open_days import add_up_today
from reports.operations.reporting import close_days


@shared_task(name="reports.close_days")
def close_days_that_are_over() -> None:
    """Store the reports of closed days; the next run continues where this one ends."""
    close_days(now=clock.now())


@shared_task(name="reports.add_up_today")
def add_up_sales_of_today() -> None:
    """Add the sales of the last minutes to those of the day; the next run continues."""
    add_up_today(now=clock.now())
