"""Celery: closing the days that are over."""

from __future__ import annotations

from celery import shared_task


@shared_task(name="reports.close_days")
def close_days() -> None:
    """Nothing is stored yet."""
