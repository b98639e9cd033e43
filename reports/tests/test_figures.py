"""The figures of days, to the cent."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from oms.core.actor import system
from reports.figures import Report, Totals, hours_of
from reports.operations.reporting import daily_report, range_report
from reports.tests.books import Books

pytestmark = pytest.mark.django_db

BERLIN = ZoneInfo("Europe/Berlin")
DAY = date(2026, 5, 20)
LATER = datetime(2026, 12, 1, tzinfo=BERLIN)


def at(text: str, *, fold: int = 0) -> datetime:
    """The moment "2026-05-20 14:30:00" in Berlin."""
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN, fold=fold)


def report(day: date = DAY, *, currency: str = "EUR", now: datetime = LATER) -> Report:
    return daily_report(actor=system("tests"), day=day, currency=currency, now=now)


@pytest.fixture
def books(db: None) -> Books:
    return Books()


def test_a_day_adds_up_to_the_cent(books: Books) -> None:
    cups = [("MUG", 3, "10.00"), ("TEAPOT", 1, "49.90")]
    first = books.order(placed=at("2026-05-20 09:10"), confirmed=at("2026-05-20 09:12"), lines=cups)
    books.order(
        placed=at("2026-05-20 09:40"), confirmed=at("2026-05-20 10:01"), lines=[("MUG", 2, "10.00")]
    )
    # Placed the day before, confirmed on this one.
    books.order(
        placed=at("2026-05-19 23:50"),
        confirmed=at("2026-05-20 00:05"),
        lines=[("SPOON", 7, "3.33")],
    )
    # Placed on this day, never paid, cancelled the day after, and deleted.
    books.order(
        placed=at("2026-05-20 12:00"),
        cancelled=at("2026-05-21 08:00"),
        deleted=at("2026-05-21 08:01"),
    )
    # Confirmed and cancelled on this day, and refunded on the next.
    gone = books.order(
        placed=at("2026-05-20 15:00"),
        confirmed=at("2026-05-20 15:01"),
        cancelled=at("2026-05-20 16:00"),
    )
    books.order(placed=at("2026-05-20 18:00"))
    books.refund(first, amount="19.99", succeeded=at("2026-05-20 20:00"))
    books.refund(first, amount="1.00", succeeded=at("2026-05-20 23:59:59"))
    books.refund(first, amount="2.00", succeeded=None, status="failed")
    books.refund(gone, amount="10.00", succeeded=at("2026-05-21 00:00"))

    made = report()

    assert made.totals == Totals(
        orders_placed=5,
        orders_confirmed=4,
        orders_cancelled=1,
        units_sold=13,
        gross_sales=Decimal("123.21"),
        cancelled_sales=Decimal("10.00"),
        refunds=Decimal("20.99"),
    )
    assert made.totals.net_sales == Decimal("102.22")
    assert made.totals.average_order_value("EUR") == Decimal("33.30")
    assert [(p.sku, p.name, p.units, p.revenue) for p in made.top_products] == [
        ("MUG", "The MUG", 5, Decimal("50.00")),
        ("TEAPOT", "The TEAPOT", 1, Decimal("49.90")),
        ("SPOON", "The SPOON", 7, Decimal("23.31")),
    ]
    assert made.by_status == {"cancelled": 2, "confirmed": 2, "pending": 1}
    sold = {hour.hour: (hour.orders, hour.gross_sales) for hour in made.by_hour if hour.orders}
    assert sold == {
        "2026-05-20T00:00:00+02:00": (1, Decimal("23.31")),
        "2026-05-20T09:00:00+02:00": (1, Decimal("79.90")),
        "2026-05-20T10:00:00+02:00": (1, Decimal("20.00")),
        "2026-05-20T15:00:00+02:00": (1, Decimal("10.00")),
    }
    assert len(made.by_hour) == 24
    assert report(date(2026, 5, 21)).totals.net_sales == 0


def test_a_day_without_orders_is_all_zeros(books: Books) -> None:
    made = report()

    assert made.totals == Totals(
        orders_placed=0,
        orders_confirmed=0,
        orders_cancelled=0,
        units_sold=0,
        gross_sales=Decimal("0.00"),
        refunds=Decimal("0.00"),
    )
    assert str(made.totals.average_order_value("EUR")) == "0.00"
    assert made.top_products == ()
    assert made.by_status == {}
    assert {hour.orders for hour in made.by_hour} == {0}


def test_midnight_belongs_to_the_day_that_begins(books: Books) -> None:
    for moment in (
        at("2026-05-20 00:00"),
        at("2026-05-20 23:59:59.999999"),
        at("2026-05-21 00:00"),
        at("2026-05-19 23:59:59.999999"),
    ):
        order = books.order(placed=moment, confirmed=moment)
        books.refund(order, amount="1.00", succeeded=moment)
        books.restock(order, "MUG", 1, at=moment)
        books.order(placed=moment, confirmed=at("2026-05-18 12:00"), cancelled=moment)

    made = report().totals

    assert (made.orders_placed, made.orders_confirmed, made.orders_cancelled) == (4, 2, 2)
    assert (made.gross_sales, made.cancelled_sales) == (Decimal("0.00"), Decimal("20.00"))
    assert (made.refunds, made.units_sold) == (Decimal("2.00"), -2)


def test_a_day_when_clocks_are_set_forward_has_23_hours(books: Books) -> None:
    day = date(2026, 3, 29)
    for moment in (
        at("2026-03-29 00:00"),
        at("2026-03-29 01:59:59"),
        at("2026-03-29 03:00"),
        at("2026-03-29 23:59:59"),
    ):
        books.order(placed=moment, confirmed=moment)
    books.order(placed=at("2026-03-30 00:00"), confirmed=at("2026-03-30 00:00"))

    made = report(day)

    hours = [hour.hour for hour in made.by_hour]
    assert len(hours) == 23
    assert hours[:3] == [
        "2026-03-29T00:00:00+01:00",
        "2026-03-29T01:00:00+01:00",
        "2026-03-29T03:00:00+02:00",
    ]
    assert [hour.orders for hour in made.by_hour] == [1, 1, 1, *[0] * 19, 1]
    assert made.totals.orders_placed == 4


def test_a_day_when_clocks_are_set_back_has_25_hours(books: Books) -> None:
    day = date(2026, 10, 25)
    for moment in (
        at("2026-10-25 02:30", fold=0),
        at("2026-10-25 02:30", fold=1),
        at("2026-10-25 02:45", fold=1),
        at("2026-10-25 23:59:59"),
    ):
        books.order(placed=moment, confirmed=moment)
    books.order(placed=at("2026-10-26 00:00"), confirmed=at("2026-10-26 00:00"))

    made = report(day)

    assert len(made.by_hour) == 25
    doubled = [(hour.hour, hour.orders) for hour in made.by_hour if "T02" in hour.hour]
    assert doubled == [("2026-10-25T02:00:00+02:00", 1), ("2026-10-25T02:00:00+01:00", 2)]
    assert made.totals.orders_confirmed == 4


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Asia/Kolkata", date(2026, 5, 20), 24),
        ("Australia/Lord_Howe", date(2026, 4, 5), 25),
        ("Asia/Kathmandu", date(2026, 5, 20), 24),
    ],
)
def test_time_zones_with_fractional_offsets_lose_no_order(
    books: Books, settings: Settings, zone: str, day: date, hours: int
) -> None:
    settings.BUSINESS_TIME_ZONE = ZoneInfo(zone)
    start = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone))
    for quarter in range(24 * 4):
        moment = (start + timedelta(minutes=15 * quarter)).astimezone(BERLIN)
        books.order(placed=moment, confirmed=moment)

    made = report(day)

    assert len(hours_of(day, ZoneInfo(zone))) == hours
    assert made.totals.orders_confirmed == made.totals.orders_placed
    assert made.totals.orders_confirmed >= 94


def test_top_products_are_the_ten_with_the_highest_revenue(books: Books) -> None:
    lines = [(f"P{number:02}", 12 - number, "5.00") for number in range(12)]
    books.order(placed=at("2026-05-20 09:00"), confirmed=at("2026-05-20 09:00"), lines=lines)

    made = report()

    assert [product.sku for product in made.top_products] == [f"P{n:02}" for n in range(10)]
    assert made.totals.units_sold == 78


def test_each_currency_has_its_own_report(books: Books) -> None:
    moment = at("2026-05-20 09:00")
    books.order(placed=moment, confirmed=moment)
    francs = books.order(placed=moment, confirmed=moment, currency="CHF", lines=[("X", 1, "7.00")])
    books.refund(francs, amount="2.00", succeeded=moment)

    euros, francs_made = report(), report(currency="CHF")

    assert (euros.totals.gross_sales, euros.totals.refunds) == (Decimal("10.00"), Decimal("0.00"))
    assert francs_made.currency == "CHF"
    assert francs_made.totals.gross_sales == Decimal("7.00")
    assert francs_made.totals.refunds == Decimal("2.00")


def test_a_range_is_the_sum_of_its_days_and_ranks_products_over_all_of_them(
    books: Books,
) -> None:
    # Second on each of the days, first over both.
    for day, leader in (("2026-05-20", "A"), ("2026-05-21", "B")):
        books.order(
            placed=at(f"{day} 09:00"),
            confirmed=at(f"{day} 09:30"),
            lines=[(leader, 1, "30.00"), ("STEADY", 1, "20.00")],
        )

    made = range_report(
        actor=system("tests"), first=DAY, last=date(2026, 5, 22), currency="EUR", now=LATER
    )

    assert made.totals.orders_confirmed == 2
    assert made.totals.gross_sales == Decimal("100.00")
    assert [(p.sku, p.revenue) for p in made.top_products] == [
        ("STEADY", Decimal("40.00")),
        ("A", Decimal("30.00")),
        ("B", Decimal("30.00")),
    ]
    assert made.days is not None
    assert [(day.date.day, day.totals.gross_sales) for day, _ in made.days] == [
        (20, Decimal("50.00")),
        (21, Decimal("50.00")),
        (22, Decimal("0.00")),
    ]
    assert [(h.hour, h.orders) for h in made.by_hour if h.orders] == [("09", 2)]
    assert len(made.by_hour) == 24


def test_a_year_takes_as_many_statements_as_a_day(books: Books) -> None:
    books.order(placed=at("2026-01-01 09:00"), confirmed=at("2026-01-01 09:00"))

    def statements(last: date) -> int:
        with CaptureQueriesContext(connection) as queries:
            range_report(
                actor=system("tests"), first=date(2026, 1, 1), last=last, currency="EUR", now=LATER
            )
        return len([query for query in queries if "SAVEPOINT" not in query["sql"]])

    day = statements(date(2026, 1, 1))

    assert statements(date(2026, 10, 31)) <= day + 1
