"""The daily report: final and stored for days that are closed, live for the others."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import msgspec
import structlog
from django.conf import settings

from oms.core.clock import business_date, business_days
from oms.core.ids import new_id
from oms.db.bulk_writes import insert_rows
from oms.db.transactions import transaction
from reports.figures import (
    DayFigures,
    Report,
    days_between,
    hours_summed,
    statuses_summed,
    summed,
)
from reports.models import DailyReport
from reports.queries import (
    AddedUp,
    Sales,
    add_up,
    best_of,
    first_business_day,
    keep_sales,
    kept_sales,
)

log = structlog.get_logger(__name__)

# A day is closed this long after its end, when everything that began in it has been committed: no
# statement and no open transaction may take more than seconds.
SETTLING = timedelta(minutes=5)
MAX_DAYS = 366
# Days that may be asked for; no shop is older, and far days have no calendar.
EARLIEST, LATEST = date(2000, 1, 1), date(2199, 12, 31)
# How many days one run of the closing task stores at most.
_CLOSED_AT_ONCE = 31


def is_closed(day: date, *, now: datetime) -> bool:
    """Whether nothing can happen in the business day any more."""
    return now >= business_days(day, day).end + SETTLING


def daily_report(*, day: date, currency: str, now: datetime) -> Report:
    """The report of one business day; stored first if it is closed and was not stored yet."""
    [(figures, is_final)] = _days(day, day, currency=currency, now=now).days
    return Report(
        first=day,
        last=day,
        timezone=_zone(),
        currency=currency,
        totals=figures.totals,
        top_products=figures.top_products,
        by_status=figures.by_status,
        by_hour=figures.by_hour,
        generated_at=figures.generated_at,
        is_final=is_final,
    )


def range_report(*, first: date, last: date, currency: str, now: datetime) -> Report:
    """The report of the business days from `first` to `last`, at most MAX_DAYS, and of each day.

    Its totals are the sums of its days; `top_products` are those of the whole range.
    """
    found = _days(first, last, currency=currency, now=now)
    figures = [day for day, _ in found.days]
    return Report(
        first=first,
        last=last,
        timezone=_zone(),
        currency=currency,
        totals=summed(figures),
        top_products=best_of(*found.sales()),
        by_status=statuses_summed(figures),
        by_hour=hours_summed(figures),
        generated_at=max(day.generated_at for day in figures),
        is_final=all(is_final for _, is_final in found.days),
        days=tuple(found.days),
    )


def close_days(*, now: datetime) -> int:
    """Store the reports of closed days that are missing, the oldest first and a month at most.

    Returns how many those were. A day that fails is logged, and tried again by the next run. Safe
    to run at any time, and by several at once: the first to store a day wins.
    """
    first = first_business_day()
    last = business_date(now - SETTLING) - timedelta(days=1)
    if first is None or last < first:
        return 0
    currency = settings.SHOP_CURRENCY
    stored = set(_stored_days(first, last, currency).values_list("date", flat=True))
    missing = [day for day in days_between(first, last) if day not in stored]
    closed = 0
    while missing and not closed:
        # Only days that lie close together, so one statement adds up all of them.
        limit = missing[0] + timedelta(days=_CLOSED_AT_ONCE)
        closed = _close([day for day in missing if day < limit], currency=currency, now=now)
        missing = [day for day in missing if day >= limit]
    return closed


def _close(days: Sequence[date], *, currency: str, now: datetime) -> int:
    """Store the reports of the days; if that fails, of each half of them. Returns how many."""
    try:
        added_up = add_up(first=days[0], last=days[-1], currency=currency, at=now)
        _store(added_up.days.values(), only=days, currency=currency)
    except Exception:  # whatever is wrong with one day, or with so many, must not stop the others
        if len(days) == 1:
            log.exception("closing_failed", day=str(days[0]))
            return 0
        middle = len(days) // 2
        halves = days[:middle], days[middle:]
        return sum(_close(half, currency=currency, now=now) for half in halves)
    return len(days)


@dataclass(frozen=True, kw_only=True)
class _Days:
    """Each day of a range with whether it is final.

    `added_up` holds what was added up just now, from the first to the last day that was not stored.
    """

    currency: str
    days: Sequence[tuple[DayFigures, bool]]
    added_up: AddedUp | None

    def sales(self) -> Iterator[Sales]:
        """What was sold: in parts, each day in one of them."""
        first, last = self.days[0][0].date, self.days[-1][0].date
        if self.added_up is None:
            yield kept_sales(first=first, last=last, currency=self.currency)
            return
        # What was sold never changes after the day, so it is all one which of the two says it.
        begin, end = min(self.added_up.days), max(self.added_up.days)
        yield kept_sales(first=first, last=begin - timedelta(days=1), currency=self.currency)
        yield self.added_up.sales
        yield kept_sales(first=end + timedelta(days=1), last=last, currency=self.currency)


def _days(first: date, last: date, *, currency: str, now: datetime) -> _Days:
    stored = _stored(first, last, currency)
    wanted = days_between(first, last)
    missing = [day for day in wanted if day not in stored]
    if not missing:
        days = [(stored[day], True) for day in wanted]
        return _Days(currency=currency, days=days, added_up=None)
    added_up = add_up(first=missing[0], last=missing[-1], currency=currency, at=now)
    closed = [day for day in missing if is_closed(day, now=now)]
    opening = first_business_day() if closed else None
    # Days before the first order would only fill the table.
    storable = [day for day in closed if opening is not None and day >= opening]
    if storable:
        _store(added_up.days.values(), only=storable, currency=currency)
        # Another may have been first, and what was stored first is the report.
        stored = _stored(first, last, currency)
    days = [
        (stored.get(day) or added_up.days[day], day in stored or day in closed) for day in wanted
    ]
    return _Days(currency=currency, days=days, added_up=added_up)


@transaction
def _store(days: Iterable[DayFigures], *, only: Collection[date], currency: str) -> None:
    rows = [
        (new_id(), day.date, _zone(), currency, _encoded(day), day.generated_at)
        for day in days
        if day.date in only
    ]
    columns = ("id", "date", "timezone", "currency", "data", "generated_at")
    insert_rows(DailyReport, columns, rows, skip_existing=True)
    # Of those that another was first to store there is no report with our id, so no sales.
    keep_sales(report_ids=[row[0] for row in rows])


def _stored_days(first: date, last: date, currency: str) -> Any:
    return DailyReport.objects.filter(
        date__range=(first, last), timezone=_zone(), currency=currency
    )


def _stored(first: date, last: date, currency: str) -> Mapping[date, DayFigures]:
    rows = _stored_days(first, last, currency)
    return {row.date: msgspec.convert(row.data, type=DayFigures) for row in rows}


def _encoded(day: DayFigures) -> dict[str, Any]:
    data: dict[str, Any] = msgspec.to_builtins(day)
    return data


def _zone() -> str:
    return str(settings.BUSINESS_TIME_ZONE)
