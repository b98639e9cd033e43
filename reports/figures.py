"""The figures of a day or a range of days, as pure values in one currency.

docs/reports.md defines them, and `reports.definitions` does so as SQL.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

from oms.core.clock import business_days
from oms.core.money import ZERO, rounded


@dataclass(frozen=True, kw_only=True)
class Totals:
    """The totals of a period. All but the numbers of orders and `cancelled_sales` may be negative.

    `orders_placed`       orders placed; deleted orders too, because deleting only removes an order
                          from lists.
    `orders_confirmed`    orders confirmed for the first time: sales.
    `orders_cancelled`    orders cancelled, whenever they were placed.
    `units_sold`          units sold, less those of sales that were cancelled or returned to stock.
    `gross_sales`         the value of what was sold, less that of sales that were cancelled.
    `cancelled_sales`     the value of sales that were cancelled.
    `refunds`             money refunded for what stays sold.
    `refunds_of_no_sale`  money refunded that was never for a sale.
    """

    orders_placed: int
    orders_confirmed: int
    orders_cancelled: int
    units_sold: int
    gross_sales: Decimal
    refunds: Decimal
    # Reports stored by the first definitions have none.
    cancelled_sales: Decimal = ZERO
    refunds_of_no_sale: Decimal = ZERO

    @property
    def net_sales(self) -> Decimal:
        """Gross sales less refunds; over all days the money kept and still owed for sales."""
        return self.gross_sales - self.refunds

    def average_order_value(self, currency: str) -> Decimal:
        """What was sold per confirmed order, to the minor unit of `currency`; zero without orders.

        Cancellations of the period do not count. Halves are rounded away from zero.
        """
        if not self.orders_confirmed:
            return rounded(ZERO, currency)
        sold = self.gross_sales + self.cancelled_sales
        return rounded(sold / self.orders_confirmed, currency)


@dataclass(frozen=True, kw_only=True)
class ProductSales:
    """The units sold of one product, and its part of the gross sales."""

    product_id: UUID
    sku: str
    name: str
    units: int
    revenue: Decimal


@dataclass(frozen=True, kw_only=True)
class HourSales:
    """Orders confirmed in one hour, and its gross sales: less what was cancelled in it.

    `hour` is its start in local time with the offset, "2026-10-25T02:00:00+02:00", so the repeated
    hour of a 25-hour day is listed twice; for a range of days it is the hour, "00" to "23".
    """

    hour: str
    orders: int
    gross_sales: Decimal


@dataclass(frozen=True, kw_only=True)
class DayFigures:
    """One business day.

    `by_status` counts the orders placed by their status at `generated_at`, `by_hour` has the 23 to
    25 hours of the day, and `top_products` at most ten by revenue.
    """

    date: date
    totals: Totals
    top_products: tuple[ProductSales, ...]
    by_status: dict[str, int]
    by_hour: tuple[HourSales, ...]
    generated_at: datetime


@dataclass(frozen=True, kw_only=True)
class Report:
    """The sales of the business days `first` to `last`, both included, in one currency.

    A final report never changes: all of its days are closed. `days` are the days of a range, each
    with whether it is final; None for the report of one day.
    """

    first: date
    last: date
    timezone: str
    currency: str
    totals: Totals
    top_products: tuple[ProductSales, ...]
    by_status: dict[str, int]
    by_hour: tuple[HourSales, ...]
    generated_at: datetime
    is_final: bool
    days: tuple[tuple[DayFigures, bool], ...] | None = None


def sum_totals(days: Sequence[DayFigures]) -> Totals:
    """The totals of all of `days` together."""
    return Totals(
        orders_placed=sum(day.totals.orders_placed for day in days),
        orders_confirmed=sum(day.totals.orders_confirmed for day in days),
        orders_cancelled=sum(day.totals.orders_cancelled for day in days),
        units_sold=sum(day.totals.units_sold for day in days),
        gross_sales=sum((day.totals.gross_sales for day in days), ZERO),
        refunds=sum((day.totals.refunds for day in days), ZERO),
        cancelled_sales=sum((day.totals.cancelled_sales for day in days), ZERO),
        refunds_of_no_sale=sum((day.totals.refunds_of_no_sale for day in days), ZERO),
    )


def sum_statuses(days: Sequence[DayFigures]) -> dict[str, int]:
    """Orders by status over all of `days`."""
    counts: Counter[str] = Counter()
    for day in days:
        counts.update(day.by_status)
    return dict(sorted(counts.items()))


def sum_hours(days: Sequence[DayFigures]) -> tuple[HourSales, ...]:
    """The 24 hours of the day over all of `days`."""
    orders: Counter[str] = Counter()
    gross: dict[str, Decimal] = {f"{hour:02}": ZERO for hour in range(24)}
    for day in days:
        for hour in day.by_hour:
            hour_of_day = hour.hour[11:13]
            orders[hour_of_day] += hour.orders
            gross[hour_of_day] += hour.gross_sales
    return tuple(
        HourSales(hour=hour, orders=orders[hour], gross_sales=amount)
        for hour, amount in gross.items()
    )


def days_between(first: date, last: date) -> list[date]:
    """The days from `first` to `last`, both included."""
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def hours_of(day: date, zone: ZoneInfo) -> list[datetime]:
    """The starts of the 23 to 25 hours of the business day in local time."""
    period = business_days(day, day)
    starts: dict[datetime, None] = {}
    moment = period.start
    while moment < period.end:
        local = moment.astimezone(zone)
        # The fixed offset of the moment, as PostgreSQL truncates.
        offset = timezone(local.utcoffset() or timedelta())
        starts.setdefault(local.replace(minute=0, tzinfo=offset))
        # Some time zones change by half an hour.
        moment += timedelta(minutes=30)
    return list(starts)
