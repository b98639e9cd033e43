"""Checks of stored reports against the same days computed again."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from decimal import Decimal
from itertools import groupby
from uuid import UUID

import msgspec
from django.conf import settings
from django.db.models import Sum

from oms.core import clock
from oms.core.money import ZERO
from oms.reconcile.checks import SHOWN, Finding, Violation
from reports.figures import DayFigures
from reports.models import DailyReport, DailySales
from reports.queries import query_figures


def report_finding() -> Finding:
    """Compare each final report with its day, computed again by the reports' own statement.

    Order statuses and product names are not compared: they are those of the time of storing.
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
    rows = DailyReport.objects.filter(timezone=str(settings.BUSINESS_TIME_ZONE))
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
