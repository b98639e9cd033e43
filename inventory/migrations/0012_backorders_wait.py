"""What is reserved beyond the stock waits in the queue from now on.

Product by product, each in a transaction of its own that locks its levels for milliseconds. Until
the processes of the release before have ended, they refuse what is out of stock.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import migrations, transaction
from django.utils import timezone

from oms.core.ids import first_id_at, new_id

_PRODUCTS = """
    SELECT DISTINCT product_id FROM inventory_stocklevel WHERE backorderable OR reserved > on_hand
"""
_HOLDERS = """
    SELECT DISTINCT order_id FROM (
        SELECT order_id FROM inventory_stockmovement
        WHERE product_id = %s AND order_id IS NOT NULL
        GROUP BY order_id, location_id HAVING sum(reserved_delta) > 0
    ) AS holder
"""
_NEW_HOLDERS = """
    SELECT DISTINCT order_id FROM inventory_stockmovement
    WHERE product_id = %s AND id >= %s AND order_id IS NOT NULL
"""
_LOCK = """
    SELECT level.id, level.location_id, level.on_hand, level.reserved
    FROM inventory_stocklevel AS level
    JOIN inventory_location AS location ON location.id = level.location_id
    WHERE level.product_id = %s
    ORDER BY level.location_id
    FOR NO KEY UPDATE OF level
"""
_PRIORITIES = "SELECT id FROM inventory_location ORDER BY priority, code"
_HELD = """
    SELECT location_id, order_id, sum(reserved_delta) FROM inventory_stockmovement
    WHERE order_id = ANY(%s) AND product_id = %s
    GROUP BY location_id, order_id HAVING sum(reserved_delta) > 0
"""
_MOVE = """
    INSERT INTO inventory_stockmovement (
        id, product_id, location_id, kind, on_hand_delta, reserved_delta, on_hand_after,
        reserved_after, reference, reason, note, order_id, actor_id, actor_label, created_at)
    VALUES (%s, %s, %s, %s, 0, %s, %s, %s, %s, '', '', %s, NULL, 'allocation', %s)
"""
_QUEUE = """
    INSERT INTO inventory_waitingitem (id, product_id, order_id, place, quantity, created_at)
    VALUES (%s, %s, %s, %s, %s, %s)
"""
_SAVE = """
    UPDATE inventory_stocklevel SET reserved = %s, backorderable = false, updated_at = %s
    WHERE id = %s
"""


def let_backorders_wait(apps: Any, schema_editor: Any) -> None:
    """Move what is reserved beyond the stock to other locations, or to the queue."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(_PRODUCTS)
        for (product_id,) in cursor.fetchall():
            # Its ledger may be long: it is read before the locks, and what came since after them.
            since = first_id_at(timezone.now() - timedelta(minutes=1))
            cursor.execute(_HOLDERS, [product_id])
            holders = {order_id for (order_id,) in cursor.fetchall()}
            with transaction.atomic(using=schema_editor.connection.alias):
                _settle(cursor, product_id, holders, since)


def _settle(cursor: Any, product_id: UUID, holders: set[UUID], since: UUID) -> None:
    now = timezone.now()
    cursor.execute(_PRIORITIES)
    priorities = [location_id for (location_id,) in cursor.fetchall()]
    cursor.execute(_LOCK, [product_id])
    levels = {location_id: [id, on_hand, held] for id, location_id, on_hand, held in cursor}
    places = [location_id for location_id in priorities if location_id in levels]
    cursor.execute(_NEW_HOLDERS, [product_id, since])
    holders |= {order_id for (order_id,) in cursor.fetchall()}
    cursor.execute(_HELD, [list(holders), product_id])
    held: dict[UUID, list[tuple[UUID, int]]] = defaultdict(list)
    for location_id, order_id, quantity in cursor.fetchall():
        held[location_id].append((order_id, quantity))

    def move(location_id: UUID, order_id: UUID, quantity: int) -> None:
        level = levels[location_id]
        level[2] += quantity
        kind = "reserve" if quantity > 0 else "release"
        values = [quantity, level[1], level[2], f"allocation:backorders:{order_id}", order_id, now]
        cursor.execute(_MOVE, [new_id(), product_id, location_id, kind, *values])

    lost: dict[UUID, int] = defaultdict(int)
    for location_id in places:
        for order_id, quantity in sorted(held[location_id], reverse=True):
            _, on_hand, reserved = levels[location_id]
            if less := min(quantity, max(reserved - on_hand, 0)):
                move(location_id, order_id, -less)
                lost[order_id] += less
    for order_id, quantity in sorted(lost.items()):
        waits = quantity
        for location_id in places:
            _, on_hand, reserved = levels[location_id]
            if take := min(waits, max(on_hand - reserved, 0)):
                move(location_id, order_id, take)
                waits -= take
        if waits:
            cursor.execute(_QUEUE, [new_id(), product_id, order_id, order_id, waits, now])
    for id, _, reserved in levels.values():
        cursor.execute(_SAVE, [reserved, now, id])


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("inventory", "0011_transfers_validated")]

    operations = [migrations.RunPython(let_backorders_wait, migrations.RunPython.noop)]
