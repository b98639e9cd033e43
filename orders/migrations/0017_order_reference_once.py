"""A customer has each reference once, by an index that is built while orders are placed."""

from __future__ import annotations

from django.db import migrations, models

_INDEX = """
    CREATE UNIQUE INDEX CONCURRENTLY order_reference_once ON orders_order (reference, customer_id)
    WHERE reference IS NOT NULL
"""


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("orders", "0016_order_fields")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(_INDEX, "DROP INDEX CONCURRENTLY order_reference_once")
            ],
            state_operations=[
                migrations.AddConstraint(
                    model_name="order",
                    constraint=models.UniqueConstraint(
                        condition=models.Q(("reference__isnull", False)),
                        fields=("reference", "customer"),
                        name="order_reference_once",
                    ),
                )
            ],
        ),
    ]
