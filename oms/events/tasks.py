"""Celery: the months of the event log."""

from __future__ import annotations

from celery import shared_task

from oms.core import clock
from oms.events.partitions import tend_log


@shared_task(name="oms.tend_event_log")
def tend_event_log() -> None:
    """Make the partitions of this month and the next ones.

    Never retried by Celery: the schedule comes back long before a month begins.
    """
    tend_log(now=clock.now())
