"""The quantity of each line that waits for stock."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("orders", "0008_currency_decimals_validated")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    """
                    -- In one statement, or the check of a field of Django's would read the whole
                    -- table under the lock.
                    ALTER TABLE orders_orderitem
                        ADD COLUMN quantity_waiting integer DEFAULT 0 NOT NULL,
                        ADD CONSTRAINT orders_orderitem_quantity_waiting_check
                            CHECK (quantity_waiting >= 0) NOT VALID,
                        ADD CONSTRAINT order_item_waiting_within_unshipped
                            CHECK (quantity >= quantity_shipped + quantity_waiting) NOT VALID
                    """,
                    "ALTER TABLE orders_orderitem DROP COLUMN quantity_waiting",
                )
            ],
            state_operations=[
                migrations.AddField(
                    model_name="orderitem",
                    name="quantity_waiting",
                    field=models.PositiveIntegerField(
                        db_default=0, default=0, verbose_name="waiting"
                    ),
                ),
                migrations.AddConstraint(
                    model_name="orderitem",
                    constraint=models.CheckConstraint(
                        condition=models.Q(
                            quantity__gte=models.F("quantity_shipped")
                            + models.F("quantity_waiting")
                        ),
                        name="order_item_waiting_within_unshipped",
                    ),
                ),
            ],
        )
    ]
