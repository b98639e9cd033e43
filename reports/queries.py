"""The SQL of reports: figures of orders, items and refunds, and stored sales."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models import Min

from oms.core.clock import business_date, business_days
from oms.core.money import ZERO
from oms.db.transactions import transaction, transaction_required
from orders.models import Order
from reports.definitions import REFUNDS, period_parameters, sales_since
from reports.figures import DayFigures, HourSales, ProductSales, Totals, days_between, hours_of

# Reports may run longer than requests.
STATEMENT_TIMEOUT_MS = 30_000

# For the transaction. A plan for a day is a bad one for a year, so none is cached; and the first
# report of a year aggregates hundreds of thousands of groups.
_SETTINGS = """
SELECT set_config('statement_timeout', %s, true),
       set_config('plan_cache_mode', 'force_custom_plan', true),
       set_config('work_mem', '64MB', true)
"""

_STORED_SALES = """
SELECT product_id, units, revenue
FROM reports_dailysales JOIN reports_dailyreport AS report ON report.id = report_id
WHERE report.date BETWEEN %(range_first)s AND %(range_last)s
  AND (report.date BETWEEN %(first)s AND %(last)s) IS NOT TRUE
  AND report.timezone = %(zone)s AND report.currency = %(currency)s
"""
_TOP_PRODUCTS = """
SELECT product_id, sum(units)::bigint AS units, sum(revenue) AS revenue
FROM ({sales}) AS sales
GROUP BY product_id HAVING sum(units) > 0 AND sum(revenue) >= 0
ORDER BY revenue DESC, units DESC, product_id LIMIT 10
"""

# By the primary key: an ordinary join would read all products.
_PRODUCT = """
CROSS JOIN LATERAL (
    SELECT sku, name FROM inventory_product WHERE id = product_id LIMIT 1
) AS product
"""

# One statement, so all figures are of the same moment. Every branch reads a half-open range of one
# index and groups it by business day, so a year takes one pass. A truncated hour keeps its offset,
# so the repeated hour of a 25-hour day stays two. `number` counts orders or units.
#
# Of an open day, sales that were added up before (OpenDay) are not read again.
_FIGURES = f"""
WITH added_up AS (
    SELECT id, until FROM reports_openday
    WHERE %(is_open)s AND date = %(first)s AND timezone = %(zone)s AND currency = %(currency)s
),
{sales_since("coalesce((SELECT until FROM added_up), %(start)s::timestamptz)")},
hours AS (
    SELECT (at AT TIME ZONE %(zone)s)::date AS day, date_trunc('hour', at, %(zone)s) AS hour,
           sum(orders) AS orders, sum(value) AS gross_sales, sum(cancelled) AS cancelled_sales
    FROM sales GROUP BY 1, 2
    UNION ALL
    SELECT %(first)s::date, hour, orders, gross_sales, cancelled_sales
    FROM reports_opendayhour JOIN added_up ON added_up.id = day_id
),
sold AS (
    SELECT day, product_id, sum(units)::bigint AS units, sum(revenue) AS revenue FROM (
        SELECT (at AT TIME ZONE %(zone)s)::date AS day, product_id, units, value AS revenue
        FROM lines
        UNION ALL
        SELECT %(first)s::date, product_id, units, revenue
        FROM reports_opendaysales JOIN added_up ON added_up.id = day_id
    ) AS sales GROUP BY 1, 2
),
ranked AS (
    SELECT *, row_number() OVER (
        PARTITION BY day ORDER BY revenue DESC, units DESC, product_id
    ) AS rank FROM sold WHERE units > 0 AND revenue >= 0
),
top_products AS (
    SELECT day, product_id, units, revenue FROM ranked WHERE rank <= 10
    UNION ALL
    SELECT NULL, overall.* FROM (
        {_TOP_PRODUCTS.format(sales=f"SELECT product_id, units, revenue FROM sold UNION ALL {_STORED_SALES}")}
    ) AS overall
),
{REFUNDS}
SELECT 'placed', (placed_at AT TIME ZONE %(zone)s)::date, NULL::timestamptz, status::text,
       NULL::text, NULL::uuid, count(*), 0::numeric
FROM orders_order
WHERE placed_at >= %(start)s AND placed_at < %(end)s AND currency = %(currency)s
GROUP BY 2, 4
UNION ALL
SELECT 'confirmed', day, hour, NULL, NULL, NULL, sum(orders)::bigint, sum(gross_sales)
FROM hours GROUP BY 2, 3
UNION ALL
SELECT 'cancelled_sales', day, NULL, NULL, NULL, NULL, 0, sum(cancelled_sales)
FROM hours GROUP BY day
UNION ALL
SELECT 'cancelled', (cancelled_at AT TIME ZONE %(zone)s)::date, NULL, NULL, NULL, NULL, count(*), 0
FROM orders_order
WHERE cancelled_at >= %(start)s AND cancelled_at < %(end)s AND currency = %(currency)s
GROUP BY 2
UNION ALL
SELECT kind, (at AT TIME ZONE %(zone)s)::date, NULL, NULL, NULL, NULL, 0, sum(amount)
FROM refunds
CROSS JOIN LATERAL (VALUES ('refunded', of_sale), ('no_sale', of_no_sale)) AS part (kind, amount)
WHERE at >= %(start)s AND at < %(end)s
GROUP BY 1, 2
UNION ALL
SELECT 'units', day, NULL, NULL, NULL, NULL, sum(units)::bigint, 0 FROM sold GROUP BY day
UNION ALL
SELECT 'top', day, NULL, sku, name, product_id, units, revenue
FROM top_products {_PRODUCT}
"""  # noqa: S608, E501

_TOP_STORED = f"""
SELECT sku, name, product_id, units, revenue
FROM ({_TOP_PRODUCTS.format(sales=_STORED_SALES)}) AS top_products
{_PRODUCT}
"""  # noqa: S608

# The sales of the days of those reports, by product.
_STORE_SALES = f"""
WITH {sales_since("%(start)s")}
INSERT INTO reports_dailysales (report_id, product_id, units, revenue)
SELECT report.id, product_id, sum(units), sum(value)
FROM lines
JOIN reports_dailyreport AS report ON report.date = (at AT TIME ZONE %(zone)s)::date
WHERE report.id = ANY(%(reports)s)
GROUP BY report.id, product_id
"""  # noqa: S608

# The rows of _FIGURES without their first two columns.
_Rows = list[tuple[Any, ...]]


@dataclass(frozen=True, kw_only=True)
class PeriodFigures:
    """The figures of each day, and the best sellers of the report's whole range."""

    days: Mapping[date, DayFigures]
    top_products: tuple[ProductSales, ...]


def set_report_limits(cursor: Any) -> None:
    """Limits and planner settings of reports, until the end of the transaction."""
    cursor.execute(_SETTINGS, [str(STATEMENT_TIMEOUT_MS)])


@transaction
def query_figures(
    *,
    first: date,
    last: date,
    currency: str,
    at: datetime,
    report_range: tuple[date, date] | None = None,
    is_open: bool = False,
) -> PeriodFigures:
    """The present figures of the business days from `first` to `last`.

    `top_products` also count the stored sales of other days of `report_range`. `is_open` is for one
    day that is not closed: then what was added up of it is not read again.
    """
    parameters = {
        **_stored_parameters(report_range or (first, last), currency),
        **period_parameters(business_days(first, last), currency=currency),
        "is_open": is_open,
        "first": first,
        "last": last,
    }
    rows: defaultdict[tuple[str, date | None], _Rows] = defaultdict(list)
    with connection.cursor() as cursor:
        set_report_limits(cursor)
        cursor.execute(_FIGURES, parameters)
        for figure, day, *values in cursor.fetchall():
            rows[figure, day].append(tuple(values))
    return PeriodFigures(
        days={day: _day_figures(day, rows, at=at) for day in days_between(first, last)},
        top_products=_top_products(values[1:] for values in rows["top", None]),
    )


def stored_top_products(*, first: date, last: date, currency: str) -> tuple[ProductSales, ...]:
    """The best sellers of a range of which all days are stored."""
    parameters = _stored_parameters((first, last), currency)
    with connection.cursor() as cursor:
        cursor.execute(_TOP_STORED, {**parameters, "first": None, "last": None})
        return _top_products(cursor.fetchall())


def _stored_parameters(report_range: tuple[date, date], currency: str) -> dict[str, Any]:
    return {
        "range_first": report_range[0],
        "range_last": report_range[1],
        "zone": str(settings.BUSINESS_TIME_ZONE),
        "currency": currency,
    }


def _day_figures(
    day: date, rows: Mapping[tuple[str, date | None], _Rows], *, at: datetime
) -> DayFigures:
    def of(figure: str) -> _Rows:
        return rows.get((figure, day), [])

    def amount_of(figure: str) -> Decimal:
        return sum((amount for *_, amount in of(figure)), ZERO)

    by_status = {status: number for _, status, *_, number, _ in of("placed")}
    sales = {hour.astimezone(UTC): (number, gross) for hour, *_, number, gross in of("confirmed")}
    by_hour = []
    for start in hours_of(day, settings.BUSINESS_TIME_ZONE):
        orders, gross = sales.get(start.astimezone(UTC), (0, ZERO))
        by_hour.append(HourSales(hour=start.isoformat(), orders=orders, gross_sales=gross))
    return DayFigures(
        date=day,
        totals=Totals(
            orders_placed=sum(by_status.values()),
            orders_confirmed=sum(hour.orders for hour in by_hour),
            orders_cancelled=sum(number for *_, number, _ in of("cancelled")),
            units_sold=sum(number for *_, number, _ in of("units")),
            gross_sales=sum((hour.gross_sales for hour in by_hour), ZERO),
            refunds=amount_of("refunded"),
            cancelled_sales=amount_of("cancelled_sales"),
            refunds_of_no_sale=amount_of("no_sale"),
        ),
        top_products=_top_products(values[1:] for values in of("top")),
        by_status=dict(sorted(by_status.items())),
        by_hour=tuple(by_hour),
        generated_at=at,
    )


def _top_products(
    rows: Iterable[tuple[str, str, UUID, int, Decimal]],
) -> tuple[ProductSales, ...]:
    products = [
        ProductSales(product_id=id, sku=sku, name=name, units=int(units), revenue=revenue)
        for sku, name, id, units, revenue in rows
    ]
    products.sort(key=lambda product: (-product.revenue, -product.units, product.product_id))
    return tuple(products)


@transaction_required
def store_sales(*, report_ids: Collection[UUID], first: date, last: date, currency: str) -> None:
    """Store what each product sold on the days of those reports that exist.

    Their days are from `first` to `last`.
    """
    parameters = {
        **period_parameters(business_days(first, last), currency=currency),
        "zone": str(settings.BUSINESS_TIME_ZONE),
        "reports": list(report_ids),
    }
    with connection.cursor() as cursor:
        set_report_limits(cursor)
        cursor.execute(_STORE_SALES, parameters)


def first_business_day() -> date | None:
    """The business day of the oldest order, or None without orders."""
    placed_at = Order.objects.aggregate(first=Min("placed_at"))["first"]
    return business_date(placed_at) if placed_at else None
