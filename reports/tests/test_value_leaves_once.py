"""What a sale is worth counts on the day of its confirmation, and leaves once."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from oms.core.actor import system
from orders.models import Order
from payments.models import Refund
from reports.figures import Totals
from reports.operations.reporting import daily_report
from reports.tests.books import Books

pytestmark = pytest.mark.django_db

FIRST = date(2026, 5, 20)
LINES = [("MUG", 2, "10.00"), ("POT", 1, "40.00")]


def on(day: int, *, hour: int = 12) -> datetime:
    """A moment of the day with that number, from 1."""
    local = datetime(2026, 5, 19, hour, tzinfo=ZoneInfo("Europe/Berlin"))
    return local + timedelta(days=day)


def figures(day: int) -> Totals:
    """The final figures of that day, computed when it was over: each day knows only its past."""
    last = FIRST + timedelta(days=day - 1)
    return daily_report(
        actor=system("tests"), day=last, currency="EUR", now=on(day + 1, hour=1)
    ).totals


def values(day: int) -> tuple[str, ...]:
    """Gross sales, refunds, net sales and refunds of no sale of that day, as text."""
    totals = figures(day)
    amounts = totals.gross_sales, totals.refunds, totals.net_sales, totals.refunds_of_no_sale
    return tuple(f"{amount:.0f}" for amount in amounts)


@pytest.fixture
def books(db: None) -> Books:
    return Books()


@pytest.fixture
def sale(books: Books) -> Order:
    """An order of 60.00 that was confirmed on the first day, by staff: it is not paid yet."""
    return books.order(placed=on(1), confirmed=on(1), lines=LINES)


def test_a_sale_that_is_cancelled_unpaid_leaves_on_that_day(books: Books, sale: Order) -> None:
    assert values(1) == ("60", "0", "60", "0")

    books.cancel(sale, at=on(2))

    assert values(2) == ("-60", "0", "-60", "0")
    assert (figures(1).units_sold, figures(2).units_sold) == (3, -3)
    assert (figures(2).cancelled_sales, figures(2).orders_cancelled) == (60, 1)


def test_a_sale_that_is_cancelled_and_refunded_leaves_when_it_is_cancelled(
    books: Books, sale: Order
) -> None:
    books.payment(sale, amount="60", captured=on(1))
    assert values(1) == ("60", "0", "60", "0")
    books.cancel(sale, at=on(2))
    assert values(2) == ("-60", "0", "-60", "0")

    books.refund(sale, amount="60", succeeded=on(3))

    assert values(3) == ("0", "0", "0", "0")


def test_what_is_refunded_and_not_cancelled_leaves_when_it_is_refunded(
    books: Books, sale: Order
) -> None:
    books.payment(sale, amount="60", captured=on(1))
    assert values(1) == ("60", "0", "60", "0")

    books.refund(sale, amount="45", succeeded=on(2))
    books.refund(sale, amount="15", succeeded=on(2))

    assert values(2) == ("0", "60", "-60", "0")


def test_what_was_refunded_before_does_not_leave_again_with_the_cancellation(
    books: Books, sale: Order
) -> None:
    books.payment(sale, amount="60", captured=on(1))
    assert values(1) == ("60", "0", "60", "0")
    books.refund(sale, amount="20", succeeded=on(2))
    assert values(2) == ("0", "20", "-20", "0")
    books.cancel(sale, at=on(3))
    assert values(3) == ("-60", "-20", "-40", "0")

    books.refund(sale, amount="40", succeeded=on(4))

    assert values(4) == ("0", "0", "0", "0")


def test_cancelled_quantities_leave_with_their_value(books: Books, sale: Order) -> None:
    books.payment(sale, amount="60", captured=on(1))
    assert values(1) == ("60", "0", "60", "0")
    books.cancel_part(sale, "MUG", 1, at=on(2))
    assert values(2) == ("-10", "0", "-10", "0")
    assert figures(2).units_sold == -1
    books.refund(sale, amount="10", succeeded=on(3))
    assert values(3) == ("0", "0", "0", "0")
    # More than what was cancelled: the rest is for what stays sold.
    books.refund(sale, amount="7", succeeded=on(4))
    assert values(4) == ("0", "7", "-7", "0")

    books.cancel(sale, at=on(5))

    assert values(5) == ("-50", "-7", "-43", "0")
    assert figures(5).units_sold == -2


def test_the_day_of_a_sale_knows_nothing_of_later_cancellations(books: Books, sale: Order) -> None:
    """Computed for the first time long after: every day as it was when it ended."""
    books.cancel_part(sale, "MUG", 1, at=on(2))
    books.cancel(sale, at=on(3))
    made = daily_report(actor=system("tests"), day=FIRST, currency="EUR", now=on(9))

    assert (made.totals.gross_sales, made.totals.units_sold) == (60, 3)
    assert [(p.sku, p.units, p.revenue) for p in made.top_products] == [
        ("POT", 1, 40),
        ("MUG", 2, 20),
    ]
    assert [hour.gross_sales for hour in made.by_hour if hour.orders] == [60]
    assert (values(2), values(3)) == (("-10", "0", "-10", "0"), ("-50", "0", "-50", "0"))


def test_what_was_cancelled_before_the_confirmation_was_never_sold(books: Books) -> None:
    order = books.order(placed=on(1, hour=9), lines=LINES)
    books.cancel_part(order, "MUG", 2, at=on(1, hour=10))
    order.status, order.confirmed_at = "confirmed", on(1, hour=11)
    order.save()

    assert values(1) == ("40", "0", "40", "0")
    assert (figures(1).units_sold, figures(1).cancelled_sales) == (1, 0)


def test_cancellations_do_not_change_the_average_of_what_was_sold(
    books: Books, sale: Order
) -> None:
    books.order(placed=on(2), confirmed=on(2), lines=[("POT", 1, "40.00")])
    books.cancel(sale, at=on(2))

    totals = figures(2)

    assert totals.gross_sales == Decimal(-20)
    assert totals.average_order_value("EUR") == Decimal("40.00")


def test_money_of_an_order_that_never_counted_is_kept_apart(books: Books) -> None:
    """A late payment of an expired order, or of one that was cancelled before it was paid."""
    order = books.order(placed=on(1), cancelled=on(1), lines=LINES)
    books.payment(order, amount="60", captured=on(1))

    books.refund(order, amount="60", succeeded=on(2))

    assert values(1) == ("0", "0", "0", "0")
    assert values(2) == ("0", "0", "0", "60")


def test_money_of_no_known_order_is_kept_apart(books: Books, sale: Order) -> None:
    books.refund(sale, amount="5", succeeded=on(2))
    Refund.objects.update(order_id=None)

    assert values(2) == ("0", "0", "0", "5")


def test_what_was_paid_beyond_the_value_of_a_sale_is_kept_apart(books: Books, sale: Order) -> None:
    books.payment(sale, amount="75", captured=on(1))
    assert values(1) == ("60", "0", "60", "0")

    books.refund(sale, amount="20", succeeded=on(2))

    assert values(2) == ("0", "5", "-5", "15")


def test_money_that_was_refunded_before_the_confirmation_is_owed_again(books: Books) -> None:
    order = books.order(placed=on(1), lines=LINES)
    books.payment(order, amount="30", captured=on(1))
    books.refund(order, amount="30", succeeded=on(1, hour=13))
    assert values(1) == ("0", "0", "0", "30")
    order.status, order.confirmed_at = "confirmed", on(2)
    order.save()
    assert values(2) == ("60", "0", "60", "0")
    books.payment(order, amount="60", captured=on(2))

    books.refund(order, amount="10", succeeded=on(3))

    assert values(3) == ("0", "10", "-10", "0")


def test_a_sale_that_is_paid_in_part_and_cancelled_leaves_once(books: Books, sale: Order) -> None:
    books.payment(sale, amount="50", captured=on(1))
    assert values(1) == ("60", "0", "60", "0")
    books.cancel_part(sale, "POT", 1, at=on(2))
    assert values(2) == ("-40", "0", "-40", "0")

    books.refund(sale, amount="30", succeeded=on(3))

    assert values(3) == ("0", "0", "0", "0")


def test_units_that_return_to_the_stock_are_no_longer_sold(books: Books, sale: Order) -> None:
    other = books.order(placed=on(2), confirmed=on(2), lines=[("MUG", 3, "10.00")])
    assert figures(1).units_sold == 3

    books.restock(sale, "MUG", 1, at=on(2))
    books.restock(other, "MUG", 1, at=on(2, hour=14))
    books.restock(sale, "POT", 1, at=on(2))

    made = daily_report(actor=system("tests"), day=FIRST + timedelta(1), currency="EUR", now=on(4))
    assert made.totals.units_sold == 0
    # Only what was sold on balance is a best seller.
    assert [(p.sku, p.units, p.revenue) for p in made.top_products] == [("MUG", 1, 30)]
