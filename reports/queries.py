"""Adding up: one statement over orders, items and refunds."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models import Min

from inventory.models import Product
from oms.core.clock import business_date, business_days
from oms.core.money import ZERO
from oms.db.transactions import transaction, transaction_required
from orders.models import Order
from reports.figures import DayFigures, HourSales, ProductSales, Totals, days_between, hours_of

TOP = 10
# Reports add up more than requests may otherwise.
STATEMENT_TIMEOUT_MS = 30_000

# One statement, so all figures are of one moment. Every branch reads a half-open range of one index
# (order_placed, order_confirmed, order_cancelled, refund_succeeded), and is grouped by the business
# day, so a year of days costs one pass. An hour keeps its own offset when it is truncated, so the
# doubled hour of a day of 25 stays two. The columns: figure, day, hour, key, count, units, amount.
_FIGURES = """
WITH confirmed AS (
    SELECT id, confirmed_at, total FROM orders_order
    WHERE confirmed_at >= %(start)s AND confirmed_at < %(end)s AND currency = %(currency)s
),
sold AS (
    SELECT (confirmed_at AT TIME ZONE %(zone)s)::date AS day, product_id,
           sum(quantity) AS units, sum(line_total) AS revenue
    FROM confirmed JOIN orders_orderitem ON order_id = confirmed.id
    GROUP BY 1, 2
),
ranked AS (
    SELECT *, row_number() OVER (
        PARTITION BY day ORDER BY revenue DESC, units DESC, product_id
    ) AS rank FROM sold
)
SELECT 'placed', (placed_at AT TIME ZONE %(zone)s)::date, NULL::timestamptz, status,
       count(*), 0, 0.00
FROM orders_order
WHERE placed_at >= %(start)s AND placed_at < %(end)s AND currency = %(currency)s
GROUP BY 2, 4
UNION ALL
SELECT 'confirmed', (confirmed_at AT TIME ZONE %(zone)s)::date,
       date_trunc('hour', confirmed_at, %(zone)s), '', count(*), 0, sum(total)
FROM confirmed GROUP BY 2, 3
UNION ALL
SELECT 'cancelled', (cancelled_at AT TIME ZONE %(zone)s)::date, NULL, '', count(*), 0, 0
FROM orders_order
WHERE cancelled_at >= %(start)s AND cancelled_at < %(end)s AND currency = %(currency)s
GROUP BY 2
UNION ALL
SELECT 'refunded', (succeeded_at AT TIME ZONE %(zone)s)::date, NULL, '', count(*), 0, sum(amount)
FROM payments_refund
WHERE succeeded_at >= %(start)s AND succeeded_at < %(end)s AND status = 'succeeded'
  AND currency = %(currency)s
GROUP BY 2
UNION ALL
SELECT 'units', day, NULL, '', 0, sum(units), 0 FROM sold GROUP BY day
UNION ALL
SELECT 'top', day, NULL, product_id::text, 0, units, revenue FROM ranked WHERE rank <= %(top)s
UNION ALL
SELECT 'overall', NULL, NULL, product_id::text, 0, sum(units), sum(revenue)
FROM sold GROUP BY product_id
"""

# For the transaction. A plan for a day is a bad one for a year, so none is kept; and a year that
# nobody has added up before has hundreds of thousands of sums.
_LONGER = """
SELECT set_config('statement_timeout', %s, true),
       set_config('plan_cache_mode', 'force_custom_plan', true),
       set_config('work_mem', '64MB', true)
"""

# The same sales once more, for the days of reports that were just stored.
_KEEP_SALES = """
INSERT INTO reports_dailysales (report_id, product_id, units, revenue)
SELECT report.id, product_id, sum(quantity), sum(line_total)
FROM reports_dailyreport AS report
JOIN orders_order ON orders_order.currency = report.currency
    AND confirmed_at >= report.date::timestamp AT TIME ZONE report.timezone
    AND confirmed_at < (report.date + 1)::timestamp AT TIME ZONE report.timezone
JOIN orders_orderitem ON order_id = orders_order.id
WHERE report.id = ANY(%s)
GROUP BY report.id, product_id
"""
_KEPT_SALES = """
SELECT product_id, sum(units), sum(revenue)
FROM reports_dailysales JOIN reports_dailyreport AS report ON report.id = report_id
WHERE report.date BETWEEN %s AND %s AND report.timezone = %s AND report.currency = %s
GROUP BY product_id
"""

# Pieces and revenue of each product.
Sales = Mapping[UUID, tuple[int, Decimal]]


@dataclass(frozen=True, kw_only=True)
class AddedUp:
    """Every day of a range, and what each product sold over the whole of it."""

    days: Mapping[date, DayFigures]
    sales: Sales


@dataclass(kw_only=True)
class _Day:
    """One day's rows of the statement."""

    by_status: dict[str, int] = field(default_factory=dict)
    by_hour: dict[datetime, tuple[int, Decimal]] = field(default_factory=dict)
    cancelled: int = 0
    refunds: Decimal = ZERO
    units: int = 0
    top: list[tuple[UUID, int, Decimal]] = field(default_factory=list)


@transaction
def add_up(*, first: date, last: date, currency: str, at: datetime) -> AddedUp:
    """The figures of the business days from `first` to `last` as the database has them now."""
    rows = {day: _Day() for day in days_between(first, last)}
    sales: dict[UUID, tuple[int, Decimal]] = {}
    for figure, day, hour, key, count, units, amount in _read(first, last, currency):
        if figure == "overall":
            sales[UUID(key)] = int(units), amount
        else:
            _put(rows[day], figure, hour, key, int(count), int(units), amount)
    products = _products({id for day in rows.values() for id, *_ in day.top})
    return AddedUp(
        days={
            day: _figures(day, rows_of_day, products=products, at=at)
            for day, rows_of_day in rows.items()
        },
        sales=sales,
    )


@transaction_required
def keep_sales(*, report_ids: Collection[UUID]) -> None:
    """Store what each product sold on the days of those reports, as far as they are stored."""
    with connection.cursor() as cursor:
        cursor.execute(_LONGER, [str(STATEMENT_TIMEOUT_MS)])
        cursor.execute(_KEEP_SALES, [list(report_ids)])


def kept_sales(*, first: date, last: date, currency: str) -> Sales:
    """What was sold on the days from `first` to `last` whose reports are stored."""
    if last < first:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_KEPT_SALES, [first, last, str(settings.BUSINESS_TIME_ZONE), currency])
        return {id: (int(units), revenue) for id, units, revenue in cursor.fetchall()}


def best_of(*parts: Sales) -> tuple[ProductSales, ...]:
    """The products that sold best in all `parts` together."""
    together: dict[UUID, tuple[int, Decimal]] = {}
    for part in parts:
        for id, (units, revenue) in part.items():
            before = together.get(id, (0, ZERO))
            together[id] = before[0] + units, before[1] + revenue
    rows = [(id, units, revenue) for id, (units, revenue) in together.items()]
    best = sorted(rows, key=_by_revenue)[:TOP]
    return _best(best, _products({id for id, *_ in best}))


def _read(first: date, last: date, currency: str) -> list[tuple[Any, ...]]:
    period = business_days(first, last)
    with connection.cursor() as cursor:
        cursor.execute(_LONGER, [str(STATEMENT_TIMEOUT_MS)])
        cursor.execute(
            _FIGURES,
            {
                "start": period.start,
                "end": period.end,
                "zone": str(settings.BUSINESS_TIME_ZONE),
                "currency": currency,
                "top": TOP,
            },
        )
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def _put(
    day: _Day, figure: str, hour: datetime | None, key: str, count: int, units: int, amount: Decimal
) -> None:
    if figure == "placed":
        day.by_status[key] = count
    elif figure == "confirmed" and hour is not None:
        day.by_hour[hour.astimezone(UTC)] = (count, amount)
    elif figure == "cancelled":
        day.cancelled = count
    elif figure == "refunded":
        day.refunds = amount
    elif figure == "units":
        day.units = units
    elif figure == "top":
        day.top.append((UUID(key), units, amount))


def _products(ids: set[UUID]) -> dict[UUID, tuple[str, str]]:
    rows = Product.objects.filter(pk__in=list(ids)).values_list("id", "sku", "name") if ids else []
    return {id: (sku, name) for id, sku, name in rows}


def _figures(
    day: date, rows: _Day, *, products: Mapping[UUID, tuple[str, str]], at: datetime
) -> DayFigures:
    hours = []
    for start in hours_of(day, settings.BUSINESS_TIME_ZONE):
        orders, gross = rows.by_hour.get(start.astimezone(UTC), (0, ZERO))
        hours.append(HourSales(hour=start.isoformat(), orders=orders, gross_sales=gross))
    return DayFigures(
        date=day,
        totals=Totals(
            orders_placed=sum(rows.by_status.values()),
            orders_confirmed=sum(hour.orders for hour in hours),
            orders_cancelled=rows.cancelled,
            units_sold=rows.units,
            gross_sales=sum((hour.gross_sales for hour in hours), ZERO),
            refunds=rows.refunds,
        ),
        top_products=_best(rows.top, products),
        by_status=dict(sorted(rows.by_status.items())),
        by_hour=tuple(hours),
        generated_at=at,
    )


def _best(
    rows: list[tuple[UUID, int, Decimal]], products: Mapping[UUID, tuple[str, str]]
) -> tuple[ProductSales, ...]:
    return tuple(
        ProductSales(
            product_id=id, sku=products[id][0], name=products[id][1], units=units, revenue=revenue
        )
        for id, units, revenue in sorted(rows, key=_by_revenue)
    )


def _by_revenue(row: tuple[UUID, int, Decimal]) -> tuple[Decimal, int, UUID]:
    return -row[2], -row[1], row[0]


def first_business_day() -> date | None:
    """The day of the oldest order; None if there is none."""
    placed_at = Order.objects.aggregate(first=Min("placed_at"))["first"]
    return business_date(placed_at) if placed_at else None
