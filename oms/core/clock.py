"""The clock and the business day."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from django.conf import settings

# The time at which the clock is stopped; None while it runs.
stopped: datetime | None = None


def now() -> datetime:
    """The current time in UTC."""
    return stopped or datetime.now(UTC)


@contextmanager
def stopped_at(at: datetime) -> Iterator[None]:
    """Stop the clock of the whole process at `at`, also for new ids.

    For commands that create past data, such as the demo shop; never in a server.
    """
    global stopped
    before, stopped = stopped, at
    try:
        yield
    finally:
        stopped = before


@dataclass(frozen=True, kw_only=True)
class Period:
    """The half-open range of times `start <= t < end`."""

    start: datetime
    end: datetime


def business_date(at: datetime) -> date:
    """The calendar day of `at` in the business time zone."""
    return at.astimezone(settings.BUSINESS_TIME_ZONE).date()


def business_days(first: date, last: date) -> Period:
    """The range from the start of `first` to the end of `last` in the business time zone.

    A day has 23 or 25 hours where the clocks change.
    """
    zone = settings.BUSINESS_TIME_ZONE
    return Period(
        start=datetime.combine(first, time.min, zone).astimezone(UTC),
        end=datetime.combine(last + timedelta(days=1), time.min, zone).astimezone(UTC),
    )
