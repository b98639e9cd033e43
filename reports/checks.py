"""Checks of stored reports: against the event log, and against the same days computed again."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from decimal import Decimal
from itertools import groupby
from typing import Any
from uuid import UUID

import msgspec
from django.conf import settings
from django.db.models import Sum

from oms.core import clock
from oms.core.ids import creation_time_of
from oms.core.money import ZERO
from oms.events.archiving import first_unarchived_id
from oms.reconcile.checks import SHOWN, Check, Finding, Violation
from reports.figures import DayFigures
from reports.models import DEFINITIONS, DailyReport, DailySales
from reports.queries import query_figures


def _log_parameters() -> Mapping[str, Any]:
    return {
        "zone": str(settings.BUSINESS_TIME_ZONE),
        "definitions": DEFINITIONS,
        "unarchived": clock.business_date(creation_time_of(first_unarchived_id())),
    }


REPORT_CHECKS = (
    Check(
        name="final_reports_equal_log",
        promise="A final report counts the orders placed, confirmed and cancelled by the log.",
        # An order is confirmed again after a hold; its sale counts once.
        sql="""
            SELECT format('%%s %%s', report.date, report.currency) AS id,
                   format('%%s: stored %%s, in the log %%s', figure,
                          report.data->'totals'->>figure, coalesce(logged.number, 0)) AS detail
            FROM reports_dailyreport AS report
            CROSS JOIN unnest(
                ARRAY['orders_placed', 'orders_confirmed', 'orders_cancelled']) AS figure
            LEFT JOIN (
                SELECT 'orders_' || split_part(type, '.', 2) AS figure, currency,
                       (occurred_at AT TIME ZONE %(zone)s)::date AS date, count(*) AS number
                FROM events_event JOIN orders_order ON orders_order.id = object_id
                WHERE type IN ('order.placed', 'order.cancelled')
                   OR (type = 'order.confirmed' AND occurred_at = confirmed_at)
                GROUP BY 1, 2, 3
            ) AS logged USING (figure, date, currency)
            WHERE report.timezone = %(zone)s AND report.definitions = %(definitions)s
              AND report.date > %(unarchived)s
              AND (report.data->'totals'->>figure)::bigint <> coalesce(logged.number, 0)
        """,
        parameters=_log_parameters,
    ),
)


def report_finding() -> Finding:
    """Compare each final report with its day, computed again by the reports' own statement.

    Those by former definitions of the figures are left as they are. Order statuses and product
    names are not compared: they are those of the time of storing.
    """
    started = time.monotonic()
    violations = list(_violations())
    return Finding(
        name="final_reports",
        promise="The stored report of a closed day equals the figures computed from its orders.",
        violations=tuple(violations[:SHOWN]),
        total=len(violations),
        seconds=time.monotonic() - started,
    )


def _violations() -> Iterator[Violation]:
    rows = DailyReport.objects.filter(
        timezone=str(settings.BUSINESS_TIME_ZONE), definitions=DEFINITIONS
    )
    rows = rows.order_by("currency", "date")
    for (currency, _), group in groupby(
        rows, key=lambda row: (row.currency, row.date.strftime("%Y-%m"))
    ):
        reports = list(group)
        computed = query_figures(
            first=reports[0].date, last=reports[-1].date, currency=currency, at=clock.now()
        )
        kept = _kept(reports)
        for report in reports:
            stored = msgspec.convert(report.data, type=DayFigures)
            differing = _differing(stored, computed.days[report.date])
            if kept.get(report.id, (0, ZERO)) != _sold(stored):
                differing.append("other sales of its products")
            if differing:
                yield Violation(id=str(report), detail="; ".join(differing))


def _differing(stored: DayFigures, computed: DayFigures) -> list[str]:
    differing = [
        f"{name}: stored {old}, now {new}"
        for name, old in asdict(stored.totals).items()
        if old != (new := getattr(computed.totals, name))
    ]
    if stored.by_hour != computed.by_hour:
        differing.append("other hours")
    if _sales(stored) != _sales(computed):
        differing.append("other best-selling products")
    return differing


def _kept(reports: Sequence[DailyReport]) -> dict[UUID, tuple[int, Decimal]]:
    """The units and the revenue of all products together that are stored with each report."""
    sales = DailySales.objects.filter(report__in=[report.id for report in reports])
    sums = sales.values_list("report_id").annotate(units=Sum("units"), revenue=Sum("revenue"))
    return {id: (units, revenue) for id, units, revenue in sums}


def _sold(day: DayFigures) -> tuple[int, Decimal]:
    return day.totals.units_sold, day.totals.gross_sales


def _sales(day: DayFigures) -> list[tuple[object, ...]]:
    return [(sale.product_id, sale.units, sale.revenue) for sale in day.top_products]
