"""What was reserved beyond the stock by the release before waits in the queue afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from oms.testing.migrating import empty_database, migrate

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

P, A, B = (f"00000000-0000-7000-8000-00000000000{number}" for number in (1, 2, 3))
# The orders of a backorderable product, of which 2 are on hand at A; later 3 arrived at B.
ORDERS = [f"01900000-0000-7000-8000-00000000000{number}" for number in (1, 2, 3)]
_BEFORE = f"""
    INSERT INTO inventory_location (id, code, name, priority, is_default, created_at)
    VALUES ('{A}', 'main', 'Main', 100, true, now()), ('{B}', 'second', 'B', 200, false, now());
    INSERT INTO inventory_product (id, sku, name, description, category, price, currency,
        is_active, low_stock_threshold, backorderable, version, created_at, updated_at)
    VALUES ('{P}', 'RARE', 'Rare', '', '', 10, 'EUR', true, 5, true, 1, now(), now());
    INSERT INTO inventory_stocklevel (id, product_id, location_id, on_hand, reserved,
        backorderable, updated_at)
    VALUES ('{A}', '{P}', '{A}', 2, 9, true, now()), ('{B}', '{P}', '{B}', 3, 0, true, now());
    INSERT INTO inventory_stockmovement (id, product_id, location_id, kind, on_hand_delta,
        reserved_delta, on_hand_after, reserved_after, reference, reason, note, order_id,
        actor_label, created_at)
    SELECT gen_random_uuid(), '{P}', place::uuid, kind, on_hand, held, on_hand_after, held_after,
        'step:' || number, '', '', order_id::uuid, 'before', now()
    FROM (VALUES (1, '{A}', 'receive', 2, 0, 2, 0, NULL),
                 (2, '{A}', 'reserve', 0, 3, 2, 3, '{ORDERS[0]}'),
                 (3, '{A}', 'reserve', 0, 4, 2, 7, '{ORDERS[1]}'),
                 (4, '{A}', 'reserve', 0, 2, 2, 9, '{ORDERS[2]}'),
                 (5, '{B}', 'receive', 3, 0, 3, 0, NULL))
        AS step (number, place, kind, on_hand, held, on_hand_after, held_after, order_id)
"""  # noqa: S608
_HELD = """
    SELECT order_id::text, code, sum(reserved_delta)::int FROM inventory_stockmovement
    JOIN inventory_location ON inventory_location.id = location_id
    WHERE order_id IS NOT NULL GROUP BY 1, 2 HAVING sum(reserved_delta) <> 0 ORDER BY 1, 2
"""
_LEVELS = """
    SELECT level.on_hand, level.reserved, level.backorderable, sum(on_hand_delta)::int,
           sum(reserved_delta)::int
    FROM inventory_stocklevel AS level
    JOIN inventory_stockmovement USING (product_id, location_id)
    GROUP BY level.id ORDER BY level.id
"""
_QUEUE = """
    SELECT order_id::text, place::text, quantity FROM inventory_waitingitem ORDER BY place
"""


@pytest.fixture
def filled_database() -> Iterator[tuple[str, Any]]:
    """A database of the release before, with backorders."""
    with empty_database() as (url, database):
        migrate(url, "inventory", "0011")
        database.execute(_BEFORE)
        yield url, database


def test_backorders_move_to_what_is_available_or_to_the_queue(
    filled_database: tuple[str, Any],
) -> None:
    url, database = filled_database

    migrate(url, "inventory", "0012")

    first, second, third = ORDERS
    # 7 too many at A: the third loses 2, the second 4, the first 1, and get 3 at B in turn.
    assert database.execute(_HELD).fetchall() == [
        (first, "main", 2),
        (first, "second", 1),
        (second, "second", 2),
    ]
    assert database.execute(_QUEUE).fetchall() == [(second, second, 2), (third, third, 2)]
    assert database.execute(_LEVELS).fetchall() == [(2, 2, False, 2, 2), (3, 3, False, 3, 3)]
