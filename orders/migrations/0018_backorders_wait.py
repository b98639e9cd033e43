"""Lines show what waits; the consumer of allocations starts where that of payments has got to."""

from __future__ import annotations

from typing import Any

from django.db import migrations, transaction

_WAITING = "SELECT DISTINCT order_id FROM inventory_waitingitem ORDER BY order_id"
_ORDER = """
    UPDATE orders_order SET version = version + 1, updated_at = clock_timestamp() WHERE id = %s
"""
_ITEMS = """
    UPDATE orders_orderitem AS item SET quantity_waiting = waiting.quantity
    FROM (
        SELECT product_id, sum(quantity) AS quantity FROM inventory_waitingitem
        WHERE order_id = %s GROUP BY product_id
    ) AS waiting
    WHERE item.order_id = %s AND item.product_id = waiting.product_id
"""
# Without one it would read the whole log, in which there is nothing for it yet.
_OFFSET = """
    INSERT INTO events_consumeroffset (consumer, transaction, position, updated_at)
    SELECT 'allocation', transaction, position, now() FROM events_consumeroffset
    WHERE consumer = 'orders'
    ON CONFLICT DO NOTHING
"""


def show_what_waits(apps: Any, schema_editor: Any) -> None:
    """Set `quantity_waiting` of the orders in the queue, each in a transaction of its own."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(_WAITING)
        for (order_id,) in cursor.fetchall():
            with transaction.atomic(using=schema_editor.connection.alias):
                cursor.execute(_ORDER, [order_id])
                cursor.execute(_ITEMS, [order_id, order_id])


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("orders", "0017_order_reference_once"),
        ("inventory", "0012_backorders_wait"),
        ("events", "0007_all_events_of_customers"),
    ]

    operations = [
        migrations.RunPython(show_what_waits, migrations.RunPython.noop),
        migrations.RunSQL(_OFFSET, migrations.RunSQL.noop),
    ]
