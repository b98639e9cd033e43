"""Pages of a long ledger are read by indexes, with any filter."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

import pytest
from django.db import connection

from inventory.api.filters import MovementFilters
from inventory.models import Product, StockMovement
from inventory.queries import stock_movements
from inventory.tests.test_reallocation import change, held, order_of, release
from oms.core import clock
from oms.core.actor import system
from oms.core.ids import new_id
from oms.testing.factories import make_product
from oms.testing.plans import PAGE, Statement, rows_read, scans_of, statements_sent

pytestmark = pytest.mark.django_db

# One movement a minute until now, of one product, by orders of two; a count lies in the middle.
_FILL = """
    INSERT INTO inventory_stockmovement (id, product_id, location_id, kind, on_hand_delta,
        reserved_delta, on_hand_after, reserved_after, reference, reason, note, order_id,
        actor_label, created_at)
    SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '70008'
            || lpad(to_hex(i), 15, '0'))::uuid,
           level.product_id, level.location_id,
           CASE WHEN i = 10000 THEN 'adjust' ELSE 'reserve' END,
           CASE WHEN i = 10000 THEN 1 ELSE 0 END, CASE WHEN i = 10000 THEN 0 ELSE 1 END,
           10, 5, 'test:' || i, '', '', md5((i / 2)::text)::uuid, 'tests', at
    FROM generate_series(1, 20000) AS i
    CROSS JOIN LATERAL (SELECT now() - make_interval(mins => i) AS at) AS time
    CROSS JOIN inventory_stocklevel AS level;
    ANALYZE inventory_stockmovement
"""


@pytest.fixture(scope="module")
def count(module_db: None) -> StockMovement:
    """The count in the middle of a long ledger."""
    make_product(stock=0)
    with connection.cursor() as cursor:
        cursor.execute(_FILL)
    return StockMovement.objects.get(kind="adjust")


def test_a_page_of_the_ledger_reads_little_more_than_it_shows(count: StockMovement) -> None:
    about = {
        "created_at__gte": (count.created_at - timedelta(minutes=20)).isoformat(),
        "created_at__lt": (count.created_at + timedelta(minutes=20)).isoformat(),
    }
    cases: list[tuple[dict[str, str], int]] = [
        ({}, PAGE),
        ({"kind": "adjust"}, 1),
        ({"kind": "ship"}, 0),
        ({"kind": "reserve"}, PAGE),
        ({"product_id": str(count.product_id)}, PAGE),
        ({"product_id": str(new_id())}, 0),
        ({"order_id": str(count.order_id)}, 2),
        (about, 40),
        ({**about, "product_id": str(count.product_id)}, 40),
        ({**about, "kind": "adjust"}, 1),
        ({"created_at__gte": clock.now().isoformat()}, 0),
    ]

    for query, expected in cases:
        movements = MovementFilters.narrowed(
            stock_movements(actor=system("tests")), MovementFilters.cleaned(query)
        )
        for order in ("-id", "id"):
            found, read = rows_read(movements, order=order)
            assert (found, read < 300) == (expected, True), (query, order, read)


def rows_scanned(statements: Iterable[Statement]) -> int:
    reading = [one for one in statements if "INSERT" not in one.sql]
    assert reading
    return sum(scan.rows for one in reading for scan in scans_of(one))


def test_reallocation_reads_a_page_of_the_ledger(count: StockMovement) -> None:
    product = Product.objects.get(pk=count.product_id)
    change(product, 9)
    orders = [order_of(product, 3) for _ in range(2)]

    with statements_sent() as damaged:
        change(product, -4)
    with statements_sent() as cancelled:
        release(orders[0], product)

    assert (held(orders[0]), held(orders[1])) == (({}, 0), ({"main": 3}, 0))
    # A page, and what the orders in it hold.
    assert rows_scanned(damaged) < 2_500
    assert rows_scanned(cancelled) < 50


def test_a_page_without_an_index_is_detected(count: StockMovement) -> None:
    assert rows_read(StockMovement.objects.filter(note="x"), order="-id") == (0, 20_000)
