"""The report of a day reads the rows of that day, however many others there are."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from oms.testing.plans import Statement, inflate_statistics, scans_of
from reports.queries import query_figures
from reports.tests.books import Books

pytestmark = pytest.mark.django_db

START = datetime(2026, 5, 20, 12, tzinfo=ZoneInfo("Europe/Berlin"))
TABLES = (
    *("orders_order", "orders_orderitem", "orders_cancellation", "orders_cancellationitem"),
    *("payments_payment", "payments_refund", "inventory_stockmovement"),
)
# One order each half an hour, like the one there is, and its payment. Every fifth is refunded an
# hour later, every seventh cancelled in part, every ninth returned and every tenth cancelled.
_FILL = """
    CREATE TEMPORARY TABLE made ON COMMIT DROP AS
    SELECT n, %(start)s + make_interval(mins => 30 * n) AS at, md5('order' || n)::uuid AS order_key,
           md5('item' || n)::uuid AS item_key, md5('payment' || n)::uuid AS payment_key,
           md5('part' || n)::uuid AS part_key
    FROM generate_series(1, 5000) AS n;
    INSERT INTO orders_order
    SELECT new.* FROM made, orders_order AS old, LATERAL jsonb_populate_record(old,
        jsonb_build_object('id', order_key, 'number', 'N' || n, 'placed_at', at, 'confirmed_at', at,
            'status', CASE WHEN n %% 10 = 0 THEN 'cancelled' ELSE 'confirmed' END,
            'cancelled_at', CASE WHEN n %% 10 = 0 THEN at END)) AS new;
    INSERT INTO orders_orderitem
    SELECT new.* FROM made, orders_orderitem AS old, LATERAL jsonb_populate_record(old,
        jsonb_build_object('id', item_key, 'order_id', order_key)) AS new;
    INSERT INTO payments_payment
    SELECT new.* FROM made, payments_payment AS old, LATERAL jsonb_populate_record(old,
        jsonb_build_object('id', payment_key, 'order_id', order_key, 'captured_at', at)) AS new;
    INSERT INTO payments_refund
    SELECT new.* FROM made, payments_refund AS old, LATERAL jsonb_populate_record(old,
        jsonb_build_object('id', md5('refund' || n), 'payment_id', payment_key,
            'order_id', order_key, 'succeeded_at', at + interval '1 hour')) AS new
    WHERE n %% 5 = 0;
    INSERT INTO orders_cancellation
    SELECT new.* FROM made, orders_cancellation AS old, LATERAL jsonb_populate_record(old,
        jsonb_build_object('id', part_key, 'order_id', order_key, 'created_at', at)) AS new
    WHERE n %% 7 = 0;
    INSERT INTO orders_cancellationitem
    SELECT new.* FROM made, orders_cancellationitem AS old, LATERAL jsonb_populate_record(old,
        jsonb_build_object('id', part_key, 'cancellation_id', part_key, 'order_item_id', item_key)
        ) AS new
    WHERE n %% 7 = 0;
    INSERT INTO inventory_stockmovement
    SELECT new.* FROM made, inventory_stockmovement AS old, LATERAL jsonb_populate_record(old,
        jsonb_build_object('id', lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0')
            || '70008' || lpad(to_hex(n), 15, '0'), 'order_id', order_key, 'created_at', at,
            'reference', 'return ' || n)) AS new
    WHERE n %% 9 = 0 AND old.kind = 'return'
"""


def test_a_day_reads_little_more_than_its_own_rows(db: None) -> None:
    books = Books()
    order = books.order(placed=START, confirmed=START, lines=[("MUG", 3, "10.00")])
    books.cancel_part(order, "MUG", 1, at=START)
    books.refund(order, amount="1.00", succeeded=START)
    books.restock(order, "MUG", 1, at=START)
    with connection.cursor() as cursor:
        for statement in _FILL.split(";"):
            cursor.execute(statement, {"start": START})
        for table in TABLES:
            cursor.execute(f"ANALYZE {table}")
    inflate_statistics(TABLES, by=100)
    day = date(2026, 7, 1)

    with CaptureQueriesContext(connection) as sent:
        figures = query_figures(first=day, last=day, currency="EUR", at=START).days[day]
    [sql] = [query["sql"] for query in sent if "added_up" in query["sql"]]
    read: Counter[str] = Counter()
    for scan in scans_of(Statement(sql=sql, values=())):
        read[scan.table] += scan.rows

    assert figures.totals.orders_confirmed == 48
    assert figures.totals.cancelled_sales > 0
    assert {table for table in TABLES if read[table]} == set(TABLES)
    assert {table: rows for table, rows in read.items() if rows > 1_000} == {}


def test_the_days_of_a_long_shop_add_up_to_all_of_it(db: None) -> None:
    """The sum of all days is that of one statement for all of them."""
    books = Books()
    for number in range(40):
        order = books.order(placed=START, confirmed=START + timedelta(hours=7 * number))
        books.refund(order, amount="4.00", succeeded=START + timedelta(hours=9 * number + 1))
        if number % 3 == 0:
            books.cancel(order, at=START + timedelta(hours=11 * number + 2))
    first, last = START.date(), START.date() + timedelta(days=30)

    at_once = query_figures(first=first, last=last, currency="EUR", at=START).days

    for day, figures in at_once.items():
        [alone] = query_figures(first=day, last=day, currency="EUR", at=START).days.values()
        assert alone == figures
    assert sum(figures.totals.net_sales for figures in at_once.values()) == 26 * 6
