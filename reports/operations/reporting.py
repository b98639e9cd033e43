"""Daily reports: stored once for closed days, computed for the others."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import msgspec
import structlog
from django.conf import settings

from oms.core.actor import Actor
from oms.core.clock import business_date, business_days
from oms.core.ids import new_id
from oms.core.permissions import Permission
from oms.db.bulk_writes import insert_rows
from oms.db.transactions import transaction
from reports.figures import (
    DayFigures,
    Report,
    days_between,
    sum_hours,
    sum_statuses,
    sum_totals,
)
from reports.models import DEFINITIONS, DailyReport
from reports.queries import (
    PeriodFigures,
    first_business_day,
    query_figures,
    store_sales,
    stored_top_products,
)

log = structlog.get_logger(__name__)

# A day is closed this long after its end, when every transaction that began in it has ended.
SETTLING = timedelta(minutes=5)
MAX_DAYS = 366
EARLIEST, LATEST = date(2000, 1, 1), date(2199, 12, 31)
# How many days one run of the closing task stores at most.
_MAX_CLOSED_DAYS = 31


def is_closed(day: date, *, now: datetime) -> bool:
    """Whether no more changes of the business day are possible."""
    return now >= business_days(day, day).end + SETTLING


def daily_report(*, actor: Actor, day: date, currency: str, now: datetime) -> Report:
    """The report of one business day; stored first if it is closed and not stored yet.

    Raises PermissionDenied.
    """
    actor.require(Permission.REPORTS_VIEW)
    [(figures, is_final)], _ = _days(day, day, currency=currency, now=now)
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


def range_report(*, actor: Actor, first: date, last: date, currency: str, now: datetime) -> Report:
    """The report of the business days from `first` to `last`, at most MAX_DAYS, and of each day.

    Its totals are the sums of its days; `top_products` are those of the whole range. Raises
    PermissionDenied.
    """
    actor.require(Permission.REPORTS_VIEW)
    days, queried = _days(first, last, currency=currency, now=now)
    figures = [day for day, _ in days]
    return Report(
        first=first,
        last=last,
        timezone=_zone(),
        currency=currency,
        totals=sum_totals(figures),
        top_products=queried.top_products
        if queried
        else stored_top_products(first=first, last=last, currency=currency),
        by_status=sum_statuses(figures),
        by_hour=sum_hours(figures),
        generated_at=max(day.generated_at for day in figures),
        is_final=all(is_final for _, is_final in days),
        days=tuple(days),
    )


def close_days(*, now: datetime) -> int:
    """Store the missing reports of closed days, the oldest first, of one month at most.

    Returns how many. A day that fails is logged, and retried by the next run. Safe to run at any
    time and concurrently: the first to store a day wins.
    """
    currency = settings.SHOP_CURRENCY
    missing = _missing_days(now - SETTLING, currency=currency)
    closed = 0
    while missing and not closed:
        # Only days close together, because one statement computes all days between them.
        limit = missing[0] + timedelta(days=_MAX_CLOSED_DAYS)
        closed = _close([day for day in missing if day < limit], currency=currency, now=now)
        missing = [day for day in missing if day >= limit]
    return closed


def missing_reports(*, now: datetime) -> Sequence[date]:
    """The days that should have been closed for an hour, and have no stored report."""
    return _missing_days(now - timedelta(hours=1), currency=settings.SHOP_CURRENCY)


def _missing_days(before: datetime, *, currency: str) -> list[date]:
    """The days that ended before that time and have no stored report, the oldest first."""
    first = first_business_day()
    last = business_date(before) - timedelta(days=1)
    if first is None or last < first:
        return []
    stored = set(_stored_days(first, last, currency).values_list("date", flat=True))
    return [day for day in days_between(first, last) if day not in stored]


def _close(days: Sequence[date], *, currency: str, now: datetime) -> int:
    """Store the reports of the days; if that fails, of each half of them. Returns how many."""
    try:
        queried = query_figures(first=days[0], last=days[-1], currency=currency, at=now)
        _store(queried.days.values(), only=days, currency=currency)
    except Exception:  # One failing day, or too many at once, must not stop the others.
        if len(days) == 1:
            log.exception("closing_failed", day=str(days[0]))
            return 0
        middle = len(days) // 2
        halves = days[:middle], days[middle:]
        return sum(_close(half, currency=currency, now=now) for half in halves)
    return len(days)


def _days(
    first: date, last: date, *, currency: str, now: datetime
) -> tuple[Sequence[tuple[DayFigures, bool]], PeriodFigures | None]:
    """Each day with whether it is final; and what was queried, unless all days were stored."""
    stored = _stored(first, last, currency)
    dates = days_between(first, last)
    missing = [day for day in dates if day not in stored]
    if not missing:
        return [(stored[day], True) for day in dates], None
    queried = query_figures(
        first=missing[0],
        last=missing[-1],
        currency=currency,
        at=now,
        report_range=(first, last),
        is_open=len(missing) == 1 and not is_closed(missing[0], now=now),
    )
    closed = [day for day in missing if is_closed(day, now=now)]
    opening = first_business_day() if closed else None
    # Days before the first order would only fill the table.
    storable = [day for day in closed if opening is not None and day >= opening]
    if storable:
        _store(queried.days.values(), only=storable, currency=currency)
        # Another process may have stored a day first; then its report is the valid one.
        stored = _stored(first, last, currency)
    days = [(stored.get(day) or queried.days[day], day in stored or day in closed) for day in dates]
    return days, queried


@transaction
def _store(days: Iterable[DayFigures], *, only: Collection[date], currency: str) -> None:
    rows = [
        (new_id(), day.date, _zone(), currency, _encoded(day), day.generated_at, DEFINITIONS)
        for day in days
        if day.date in only
    ]
    columns = ("id", "date", "timezone", "currency", "data", "generated_at", "definitions")
    insert_rows(DailyReport, columns, rows, skip_existing=True)
    # A day that another process stored first has no report with our id, so no sales are inserted.
    store_sales(
        report_ids=[row[0] for row in rows], first=min(only), last=max(only), currency=currency
    )


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
