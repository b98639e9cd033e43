"""The sales of today, added up in parts."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import connection

from oms.core.actor import system
from oms.testing.threads import at_once
from reports.figures import Report
from reports.models import DailyReport, OpenDay, OpenDaySales
from reports.operations.open_days import SETTLING, add_up_today
from reports.operations.reporting import close_days, daily_report, range_report
from reports.tests.books import Books

pytestmark = pytest.mark.django_db

BERLIN = ZoneInfo("Europe/Berlin")
DAY = date(2026, 10, 25)  # the clocks are set back at 03:00
MIDNIGHT = datetime(2026, 10, 25, tzinfo=BERLIN)


def make_sales(books: Books, *, since: datetime, until: datetime) -> None:
    """An order confirmed every seven minutes, of different products.

    Some are cancelled then or an hour later, as a whole or in part.
    """
    moment, number = since, 0
    while moment < until:
        order = books.order(
            placed=moment - timedelta(minutes=30),
            confirmed=moment,
            lines=[(f"SKU-{number % 12}", number % 5 + 1, "3.33"), ("MUG", 1, "10.00")],
        )
        if number % 3 == 0:
            books.cancel_part(order, "MUG", 1, at=moment + timedelta(hours=number % 2))
        if number % 4 == 0:
            books.cancel(order, at=moment + timedelta(hours=number % 8 // 4))
        moment, number = moment + timedelta(minutes=7), number + 1


def report(now: datetime) -> Report:
    return daily_report(actor=system("tests"), day=DAY, currency="EUR", now=now)


def computed(now: datetime) -> Report:
    """The report of today from the orders alone."""
    kept = list(OpenDay.objects.values_list("pk", "date"))
    OpenDay.objects.update(date=date(2000, 1, 1))
    made = report(now)
    for pk, day in kept:
        OpenDay.objects.filter(pk=pk).update(date=day)
    return made


def test_the_report_of_today_is_the_same_whether_its_sales_were_added_up_or_not() -> None:
    books = Books()
    now = MIDNIGHT
    for hours in (1, 2, 3, 5, 9, 20):
        later = MIDNIGHT + timedelta(hours=hours)
        make_sales(books, since=now, until=later)
        now = later

        add_up_today(now=now)
        add_up_today(now=now)

        made = report(now)
        assert made.totals.orders_confirmed > 0
        assert made.totals.cancelled_sales > 0
        assert made == computed(now)
        assert not made.is_final
    open_day = OpenDay.objects.get()
    assert open_day.until == now - SETTLING
    assert OpenDaySales.objects.count() == 13
    in_range = range_report(
        actor=system("tests"), first=DAY - timedelta(days=1), last=DAY, currency="EUR", now=now
    )
    assert in_range.top_products == made.top_products


def test_only_what_was_not_added_up_is_read_from_the_orders() -> None:
    books = Books()
    make_sales(books, since=MIDNIGHT, until=MIDNIGHT + timedelta(hours=6))
    now = MIDNIGHT + timedelta(hours=6)
    before = report(now)
    add_up_today(now=now)

    # Seen only by a report that reads all orders again.
    with connection.cursor() as cursor:
        cursor.execute("UPDATE orders_order SET total = total + 1")

    assert report(now).totals.gross_sales - before.totals.gross_sales <= 1


def test_a_final_report_is_computed_from_the_orders_and_not_from_what_was_added_up() -> None:
    books = Books()
    make_sales(books, since=MIDNIGHT, until=MIDNIGHT + timedelta(hours=25))
    add_up_today(now=MIDNIGHT + timedelta(hours=20))
    OpenDaySales.objects.update(units=0, revenue=0)

    tomorrow = MIDNIGHT + timedelta(days=1, hours=2)
    expected = computed(tomorrow - timedelta(hours=2)).totals
    assert close_days(now=tomorrow) >= 1

    stored = DailyReport.objects.get(date=DAY).data["totals"]
    assert stored["units_sold"] == expected.units_sold
    assert report(tomorrow).is_final
    assert report(tomorrow).totals == expected


def test_open_days_are_deleted_when_they_are_over() -> None:
    add_up_today(now=MIDNIGHT + timedelta(hours=5))
    add_up_today(now=MIDNIGHT + timedelta(days=4, hours=5))

    assert OpenDay.objects.get().date == DAY + timedelta(days=4)


@pytest.mark.django_db(transaction=True)
def test_two_runs_at_once_add_each_sale_once() -> None:
    books = Books()
    make_sales(books, since=MIDNIGHT, until=MIDNIGHT + timedelta(hours=6))
    now = MIDNIGHT + timedelta(hours=7)

    at_once(*[lambda: add_up_today(now=now)] * 4)

    assert report(now) == computed(now)
