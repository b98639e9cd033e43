"""When orders are placed: less at night, less on Sundays."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import accumulate
from random import Random

from oms.demo.plans import Phase

# How long ago the orders of a phase were placed: from, to. The finished ones go back to the start.
_SPANS: Mapping[Phase, tuple[timedelta, timedelta]] = {
    Phase.MOVING: (timedelta(days=4), timedelta(days=1.5)),
    Phase.FRESH: (timedelta(days=1.5), timedelta(hours=1)),
    Phase.NEWEST: (timedelta(minutes=20), timedelta(minutes=1)),
}
_BY_WEEKDAY = (112, 108, 104, 102, 110, 92, 78)
_BY_HOUR = (
    *(9, 5, 3, 2, 2, 4, 12, 28, 44, 56, 62, 66),
    *(70, 64, 58, 56, 58, 64, 74, 88, 96, 84, 52, 24),
)


def placing_moments(
    sizes: Mapping[Phase, int], *, days: int, now: datetime, zone: tzinfo, random: Random
) -> list[datetime]:
    """The moments of placing in the last `days`, oldest first: in each phase as `sizes` says."""
    finished = (timedelta(days=days), _SPANS[Phase.MOVING][0])
    spans = {Phase.FINISHED: finished, **_SPANS}
    return [
        moment
        for phase, size in sizes.items()
        for moment in _within(*spans[phase], size, now=now, zone=zone, random=random)
    ]


def _within(
    longest: timedelta,
    shortest: timedelta,
    size: int,
    *,
    now: datetime,
    zone: tzinfo,
    random: Random,
) -> list[datetime]:
    """`size` sorted moments; each quarter of an hour is drawn by its weekday and hour."""
    start, quarter = now - longest, timedelta(minutes=15)
    slots = max(1, (longest - shortest) // quarter)
    width = (longest - shortest) / slots
    weights = []
    for slot in range(slots):
        local = (start + slot * width).astimezone(zone)
        weights.append(_BY_WEEKDAY[local.weekday()] * _BY_HOUR[local.hour])
    chosen = random.choices(range(slots), cum_weights=list(accumulate(weights)), k=size)
    return sorted((start + (slot + random.random()) * width).astimezone(UTC) for slot in chosen)
