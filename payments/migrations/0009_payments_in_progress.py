"""An order may have several captured payments, but one in progress at most."""

from __future__ import annotations

from django.contrib.postgres.operations import AddIndexConcurrently, ValidateConstraint
from django.db import migrations, models

_IN_PROGRESS = ("created", "processing", "unknown", "authorized")


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("payments", "0008_made_at_the_provider")]

    operations = [
        ValidateConstraint("payment", "payment_each_refunded_within_captured"),
        AddIndexConcurrently(
            model_name="payment",
            index=models.Index(
                condition=models.Q(("charge_key", ""), _negated=True),
                fields=["charge_key"],
                name="payment_charge_key",
            ),
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    """
                    CREATE UNIQUE INDEX CONCURRENTLY payment_one_in_progress_for_order
                    ON payments_payment (order_id)
                    WHERE status IN ('created', 'processing', 'unknown', 'authorized')
                    """,
                    "DROP INDEX CONCURRENTLY payment_one_in_progress_for_order",
                ),
                migrations.RunSQL(
                    "DROP INDEX CONCURRENTLY payment_one_active_for_order",
                    migrations.RunSQL.noop,
                ),
                migrations.RunSQL(
                    """
                    CREATE UNIQUE INDEX CONCURRENTLY refund_at_provider_once
                    ON payments_refund (payment_id, provider_reference)
                    WHERE origin = 'provider'
                    """,
                    "DROP INDEX CONCURRENTLY refund_at_provider_once",
                ),
            ],
            state_operations=[
                migrations.AddConstraint(
                    "payment",
                    models.UniqueConstraint(
                        condition=models.Q(("status__in", _IN_PROGRESS)),
                        fields=("order_id",),
                        name="payment_one_in_progress_for_order",
                    ),
                ),
                migrations.RemoveConstraint("payment", "payment_one_active_for_order"),
                migrations.AddConstraint(
                    "refund",
                    models.UniqueConstraint(
                        condition=models.Q(("origin", "provider")),
                        fields=("payment", "provider_reference"),
                        name="refund_at_provider_once",
                    ),
                ),
            ],
        ),
    ]
