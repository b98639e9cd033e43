"""Business days, whose length the clock change makes 23 or 25 hours."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from oms.core.clock import business_date, business_days


@pytest.fixture(autouse=True)
def _berlin(settings: Any) -> None:
    settings.BUSINESS_TIME_ZONE = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("day", "hours"),
    [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (date(2026, 11, 21), 24)],
)
def test_a_day_has_as_many_hours_as_the_zone_gives_it(day: date, hours: int) -> None:
    period = business_days(day, day)

    assert period.end - period.start == timedelta(hours=hours)
    assert business_date(period.start) == day
    assert business_date(period.end) == day + timedelta(days=1)
    assert business_date(period.end - timedelta(microseconds=1)) == day


def test_days_follow_each_other_without_a_gap() -> None:
    first, last = date(2026, 10, 24), date(2026, 10, 26)

    whole = business_days(first, last)

    assert whole.start == datetime(2026, 10, 23, 22, tzinfo=UTC)
    assert whole.end == datetime(2026, 10, 26, 23, tzinfo=UTC)
    assert business_days(first, first).end == business_days(date(2026, 10, 25), last).start
