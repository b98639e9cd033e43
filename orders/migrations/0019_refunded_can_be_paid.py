"""Orders that were never paid in full, and of which something was refunded, can be paid."""

from __future__ import annotations

from typing import Any

from django.db import migrations, transaction

_FOUND = """
    SELECT orders_order.id,
           CASE WHEN money.refunded < money.captured THEN 'partially_paid' ELSE 'unpaid' END
    FROM orders_order
    CROSS JOIN LATERAL (
        SELECT sum(captured_amount) AS captured,
               sum(coalesce((
                   SELECT sum(amount) FROM payments_refund AS refund
                   WHERE refund.payment_id = payment.id AND refund.status = 'succeeded'), 0))
                   AS refunded,
               bool_or(status IN ('created', 'processing', 'unknown', 'authorized')) AS is_paying
        FROM payments_payment AS payment
        WHERE order_id = orders_order.id AND currency = orders_order.currency
    ) AS money
    WHERE orders_order.payment_status IN ('refunded', 'partially_refunded')
      AND orders_order.status NOT IN ('cancelled', 'expired')
      AND money.captured < orders_order.total AND NOT money.is_paying
    ORDER BY orders_order.id
"""
_CHANGE = """
    UPDATE orders_order
    SET payment_status = %s, version = version + 1, updated_at = clock_timestamp()
    WHERE id = %s AND payment_status IN ('refunded', 'partially_refunded')
"""


def show_what_can_be_paid(apps: Any, schema_editor: Any) -> None:
    """Change the payment status of the few such orders, each in a transaction of its own."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(_FOUND)
        for order_id, payment_status in cursor.fetchall():
            with transaction.atomic(using=schema_editor.connection.alias):
                cursor.execute(_CHANGE, [payment_status, order_id])


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("orders", "0018_backorders_wait"),
        ("payments", "0009_payments_in_progress"),
    ]

    operations = [migrations.RunPython(show_what_can_be_paid, migrations.RunPython.noop)]
