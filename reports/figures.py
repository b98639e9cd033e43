"""The figures of a day and of several days, as pure values.

Every amount is in one currency. What each figure counts is said once, at `Totals`.
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
    """What a range of time comes to.

    `orders_placed`      placed in it, by `placed_at`. Those that were deleted since count too: a
                         report says what happened, and deleting takes an order out of lists only.
    `orders_confirmed`   confirmed for the first time in it, by `confirmed_at`: sales.
    `orders_cancelled`   cancelled in it, by `cancelled_at`, whenever they were placed.
    `units_sold`         pieces on the orders confirmed in it.
    `gross_sales`        the totals of the orders confirmed in it. A later cancellation does not
                         change this: its refund counts on the day when the money went back.
    `refunds`            refunds that succeeded in it, by `succeeded_at`, whatever they are for.
    """

    orders_placed: int
    orders_confirmed: int
    orders_cancelled: int
    units_sold: int
    gross_sales: Decimal
    refunds: Decimal

    @property
    def net_sales(self) -> Decimal:
        """Gross sales less refunds; below zero where more went back than came in."""
        return self.gross_sales - self.refunds

    @property
    def average_order_value(self) -> Decimal:
        """Gross sales for each confirmed order; 0.00 if there is none."""
        if not self.orders_confirmed:
            return ZERO
        return rounded(self.gross_sales / self.orders_confirmed)


@dataclass(frozen=True, kw_only=True)
class ProductSales:
    """Pieces and revenue of one product on confirmed orders."""

    product_id: UUID
    sku: str
    name: str
    units: int
    revenue: Decimal


@dataclass(frozen=True, kw_only=True)
class HourSales:
    """Orders confirmed in one hour and what they come to.

    `hour` is its start in local time with the offset, "2026-10-25T02:00:00+02:00", so the doubled
    hour of a day of 25 is there twice; over several days it is the hour of the clock, "00" to "23".
    """

    hour: str
    orders: int
    gross_sales: Decimal


@dataclass(frozen=True, kw_only=True)
class DayFigures:
    """One business day: `by_status` has the orders placed in it by their status at `generated_at`,
    `by_hour` every hour of the day, 23 to 25 of them, and `top_products` at most ten by revenue.
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

    `is_final` says that it will never change: all of its days are closed. `days` are the days one
    by one, each with whether it is final, where a range was asked for; else None.
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


def summed(days: Sequence[DayFigures]) -> Totals:
    """The totals of all of `days` together."""
    return Totals(
        orders_placed=sum(day.totals.orders_placed for day in days),
        orders_confirmed=sum(day.totals.orders_confirmed for day in days),
        orders_cancelled=sum(day.totals.orders_cancelled for day in days),
        units_sold=sum(day.totals.units_sold for day in days),
        gross_sales=sum((day.totals.gross_sales for day in days), ZERO),
        refunds=sum((day.totals.refunds for day in days), ZERO),
    )


def statuses_summed(days: Sequence[DayFigures]) -> dict[str, int]:
    """Orders by status over all of `days`."""
    counts: Counter[str] = Counter()
    for day in days:
        counts.update(day.by_status)
    return dict(sorted(counts.items()))


def hours_summed(days: Sequence[DayFigures]) -> tuple[HourSales, ...]:
    """The 24 hours of the clock over all of `days`."""
    orders: Counter[str] = Counter()
    gross: dict[str, Decimal] = {f"{hour:02}": ZERO for hour in range(24)}
    for day in days:
        for hour in day.by_hour:
            of_clock = hour.hour[11:13]
            orders[of_clock] += hour.orders
            gross[of_clock] += hour.gross_sales
    return tuple(
        HourSales(hour=hour, orders=orders[hour], gross_sales=amount)
        for hour, amount in gross.items()
    )


def days_between(first: date, last: date) -> list[date]:
    """The days from `first` to `last`, both included."""
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def hours_of(day: date, zone: ZoneInfo) -> list[datetime]:
    """The starts of the hours of the business day in its local time: 23, 24 or 25 of them."""
    period = business_days(day, day)
    starts: dict[datetime, None] = {}
    moment = period.start
    while moment < period.end:
        local = moment.astimezone(zone)
        # With the offset of the moment itself, as PostgreSQL truncates.
        offset = timezone(local.utcoffset() or timedelta())
        starts.setdefault(local.replace(minute=0, tzinfo=offset))
        # Not every change of the clocks is by a whole hour.
        moment += timedelta(minutes=30)
    return list(starts)
