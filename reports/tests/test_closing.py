"""Closed days and their final reports."""

from __future__ import annotations

import functools
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from oms.core.actor import system
from oms.testing.faults import refused_rows
from oms.testing.threads import at_once
from reports.checks import report_finding
from reports.figures import Report
from reports.models import DailyReport, DailySales
from reports.operations.reporting import SETTLING, close_days, daily_report, range_report
from reports.tasks import close_days_that_are_over
from reports.tests.books import Books

BERLIN = ZoneInfo("Europe/Berlin")
DAY = date(2026, 5, 20)
NOON = datetime(2026, 5, 20, 12, tzinfo=BERLIN)
MIDNIGHT = datetime(2026, 5, 21, tzinfo=BERLIN)
NEXT_NOON = NOON + timedelta(days=1)


@pytest.fixture
def books(db: None) -> Books:
    return Books()


def report(now: datetime) -> Report:
    return daily_report(actor=system("tests"), day=DAY, currency="EUR", now=now)


def test_the_report_of_today_is_live(books: Books) -> None:
    books.order(placed=NOON, confirmed=NOON)
    first = report(NOON)
    books.order(placed=NOON, confirmed=NOON)

    second = report(NOON + timedelta(seconds=1))

    assert (first.totals.orders_confirmed, second.totals.orders_confirmed) == (1, 2)
    assert not second.is_final
    assert not DailyReport.objects.exists()


def test_a_day_is_closed_some_minutes_after_midnight(books: Books) -> None:
    books.order(placed=NOON)

    assert not report(MIDNIGHT).is_final
    assert not report(MIDNIGHT + SETTLING - timedelta(microseconds=1)).is_final
    assert not DailyReport.objects.exists()

    assert report(MIDNIGHT + SETTLING).is_final
    assert DailyReport.objects.get().date == DAY


def test_a_final_report_does_not_change_when_an_order_is_refunded_later(books: Books) -> None:
    order = books.order(placed=NOON, confirmed=NOON)
    final = report(NEXT_NOON)

    order.status, order.cancelled_at, order.deleted_at = "cancelled", NEXT_NOON, NEXT_NOON
    order.save()
    books.refund(order, amount="10.00", succeeded=NEXT_NOON)

    assert report(NEXT_NOON + timedelta(hours=1)) == final
    assert final.totals.net_sales == Decimal("10.00")
    next_day = daily_report(
        actor=system("tests"),
        day=DAY + timedelta(days=1),
        currency="EUR",
        now=NEXT_NOON + timedelta(hours=1),
    )
    assert (next_day.totals.gross_sales, next_day.totals.refunds) == (Decimal("-10.00"), 0)
    assert (next_day.totals.net_sales, next_day.totals.orders_cancelled) == (Decimal("-10.00"), 1)


def test_a_final_report_keeps_the_definitions_of_its_time(books: Books) -> None:
    """By the first definitions cancellations did not count; the day is not computed again."""
    order = books.order(placed=NOON, confirmed=NOON)
    books.cancel(order, at=NOON)
    report(NEXT_NOON)
    stored = DailyReport.objects.get()
    del stored.data["totals"]["cancelled_sales"], stored.data["totals"]["refunds_of_no_sale"]
    stored.data["totals"]["gross_sales"] = "10.00"
    stored.save()
    assert not report_finding().holds
    # As the release before stored it.
    DailyReport.objects.update(definitions=1)

    totals = report(NEXT_NOON).totals

    assert (totals.gross_sales, totals.cancelled_sales) == (Decimal("10.00"), 0)
    assert (totals.net_sales, totals.average_order_value("EUR")) == (Decimal("10.00"),) * 2
    assert report_finding().holds


def test_closing_stores_every_missed_day_once(books: Books) -> None:
    books.order(placed=NOON - timedelta(days=4), confirmed=NOON - timedelta(days=4))

    assert close_days(now=NOON) == 4
    assert close_days(now=NOON) == 0

    days = list(DailyReport.objects.order_by("date").values_list("date", flat=True))
    assert days == [DAY - timedelta(days=4 - number) for number in range(4)]


def test_closing_catches_up_a_month_at_a_time(books: Books) -> None:
    books.order(placed=NOON - timedelta(days=40))

    assert [close_days(now=NOON) for _ in range(3)] == [31, 9, 0]


def test_closing_fills_the_gaps_between_stored_days(books: Books) -> None:
    books.order(placed=NOON - timedelta(days=40))
    while close_days(now=NOON):
        pass
    gaps = [DAY - timedelta(days=1), DAY - timedelta(days=30), DAY - timedelta(days=40)]
    DailyReport.objects.filter(date__in=gaps).delete()

    assert [close_days(now=NOON) for _ in range(3)] == [2, 1, 0]
    assert DailyReport.objects.count() == 40


def test_an_empty_shop_closes_nothing(db: None) -> None:
    close_days_that_are_over()

    assert not DailyReport.objects.exists()


def test_days_before_the_first_order_are_not_stored(books: Books) -> None:
    books.order(placed=NOON)

    before = daily_report(
        actor=system("tests"), day=DAY - timedelta(days=1), currency="EUR", now=NEXT_NOON
    )

    assert before.is_final
    assert before.totals.orders_placed == 0
    assert not DailyReport.objects.exists()


def test_a_range_is_final_only_if_all_of_its_days_are(books: Books) -> None:
    books.order(placed=NOON, confirmed=NOON)
    books.order(placed=NEXT_NOON, confirmed=NEXT_NOON)

    running = range_report(
        actor=system("tests"),
        first=DAY,
        last=DAY + timedelta(days=1),
        currency="EUR",
        now=NEXT_NOON,
    )
    over = range_report(
        actor=system("tests"),
        first=DAY,
        last=DAY + timedelta(days=1),
        currency="EUR",
        now=NEXT_NOON + timedelta(days=1),
    )

    assert running.days is not None
    assert [is_final for _, is_final in running.days] == [True, False]
    assert not running.is_final
    assert over.is_final
    assert over.totals.orders_confirmed == 2


def test_a_range_of_stored_days_agrees_with_them(books: Books) -> None:
    order = books.order(placed=NOON, confirmed=NOON, lines=[("MUG", 2, "10.00")])
    first = range_report(actor=system("tests"), first=DAY, last=DAY, currency="EUR", now=NEXT_NOON)
    order.status = "shipped"
    order.save()

    second = range_report(
        actor=system("tests"),
        first=DAY,
        last=DAY,
        currency="EUR",
        now=NEXT_NOON + timedelta(days=9),
    )

    assert second == first


@pytest.mark.django_db(transaction=True)
def test_concurrent_requests_for_an_unstored_day_get_the_same_report() -> None:
    Books().order(placed=NOON, confirmed=NOON)

    made = at_once(
        *[functools.partial(report, NEXT_NOON + timedelta(seconds=number)) for number in range(8)]
    )

    assert len({one.generated_at for one in made}) == 1
    assert DailyReport.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_without_the_unique_constraint_concurrent_requests_store_several_reports() -> None:
    """The negative control of the test above."""
    Books().order(placed=NOON, confirmed=NOON)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE reports_dailyreport DROP CONSTRAINT daily_report_once")
    try:
        at_once(*[functools.partial(report, NEXT_NOON)] * 8)

        assert DailyReport.objects.count() > 1
    finally:
        DailyReport.objects.all().delete()
        with connection.cursor() as cursor:
            cursor.execute(
                "ALTER TABLE reports_dailyreport ADD CONSTRAINT daily_report_once"
                " UNIQUE (date, timezone, currency)"
            )


def test_a_stored_day_has_the_sales_of_each_product(books: Books) -> None:
    lines = [(f"P{number:02}", number, "1.00") for number in range(1, 13)]
    books.order(placed=NOON, confirmed=NOON, lines=lines)
    books.order(placed=NOON, confirmed=NOON, lines=[("P01", 2, "1.50")])
    books.order(placed=NOON, confirmed=NEXT_NOON)

    report(NEXT_NOON)

    skus = {product.id: sku for sku, product in books.products.items()}
    kept = {
        skus[sale.product_id]: (sale.units, sale.revenue)
        for sale in DailySales.objects.filter(report__date=DAY)
    }
    assert len(kept) == 12
    assert kept["P01"] == (3, Decimal("4.00"))
    assert kept["P12"] == (12, Decimal("12.00"))


def test_a_range_of_stored_days_reads_no_order(books: Books) -> None:
    for day in range(5):
        moment = NOON + timedelta(days=day)
        books.order(placed=moment, confirmed=moment, lines=[("CUP", day + 1, "2.00")])
    while close_days(now=NOON + timedelta(days=6)):
        pass

    with CaptureQueriesContext(connection) as statements:
        found = range_report(
            actor=system("tests"),
            first=DAY,
            last=DAY + timedelta(days=4),
            currency="EUR",
            now=NOON + timedelta(days=6),
        )

    assert [(p.sku, p.units, p.revenue) for p in found.top_products] == [("CUP", 15, 30)]
    assert len(statements) == 2  # the reports and their sales
    assert not any("orders_" in statement["sql"] for statement in statements)


def test_a_range_including_today_counts_sales_once(books: Books) -> None:
    for day in range(3):
        moment = NOON + timedelta(days=day)
        books.order(placed=moment, confirmed=moment, lines=[("CUP", 1, "2.00")])
    now = NOON + timedelta(days=2, hours=1)
    while close_days(now=now):
        pass
    # A missing day in the middle is queried together with the stored days after it.
    DailyReport.objects.filter(date=DAY).delete()

    found = range_report(
        actor=system("tests"), first=DAY, last=DAY + timedelta(days=2), currency="EUR", now=now
    )

    assert [(p.sku, p.units) for p in found.top_products] == [("CUP", 3)]
    assert found.totals.units_sold == 3
    assert DailySales.objects.count() == 2


def test_a_day_that_cannot_be_stored_stops_no_other(
    books: Books, caplog: pytest.LogCaptureFixture
) -> None:
    bad = DAY - timedelta(days=40)
    books.order(placed=NOON - timedelta(days=40))

    with refused_rows("reports_dailyreport", "INSERT", condition=f"NEW.date = '{bad}'"):
        assert [close_days(now=NOON) for _ in range(3)] == [30, 9, 0]

    assert DailyReport.objects.count() == 39
    failures: list[Any] = [
        r.msg for r in caplog.records if r.name == "reports.operations.reporting"
    ]
    assert {line["day"] for line in failures} == {str(bad)}
