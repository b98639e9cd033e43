"""Orders authorized and partially paid, and pending ones on hold.

Replaced checks are taken off and added without reading the table; 0010 validates them.
"""

from __future__ import annotations

from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models

_PAYMENT_STATUSES = [
    ("unpaid", "unpaid"),
    ("processing", "processing"),
    ("authorized", "authorized"),
    ("partially_paid", "partially paid"),
    ("paid", "paid"),
    ("failed", "failed"),
    ("unknown", "unknown"),
    ("partially_refunded", "partially refunded"),
    ("refunded", "refunded"),
]


class Migration(migrations.Migration):
    dependencies = [("orders", "0013_cancelled_quantities_validated")]

    operations = [
        migrations.AlterField(
            model_name="order",
            name="payment_status",
            field=models.CharField(
                "payment", choices=_PAYMENT_STATUSES, default="unpaid", max_length=18
            ),
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    [
                        """
                    ALTER TABLE orders_order
                        -- squawk-ignore ban-drop-constraint
                        DROP CONSTRAINT order_payment_status_known, DROP CONSTRAINT order_confirmed_has_its_moment
                    """
                    ],
                    migrations.RunSQL.noop,
                )
            ],
            state_operations=[
                migrations.RemoveConstraint("order", "order_payment_status_known"),
                migrations.RemoveConstraint("order", "order_confirmed_has_its_moment"),
            ],
        ),
        AddConstraintNotValid(
            model_name="order",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("payment_status__in", [status for status, _ in _PAYMENT_STATUSES])
                ),
                name="order_payment_status_known",
            ),
        ),
        AddConstraintNotValid(
            model_name="order",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("confirmed_at__isnull", False),
                    ("status__in", ["pending", "on_hold", "expired", "cancelled"]),
                    _connector="OR",
                ),
                name="order_confirmed_has_its_moment",
            ),
        ),
    ]
