"""Quantities of a line can be cancelled: they will not be shipped, and leave its total."""

from __future__ import annotations

from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("orders", "0010_quantity_waiting_validated")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    """
                    -- In one statement, or the check of a field of Django's would read the whole
                    -- table under the lock.
                    ALTER TABLE orders_orderitem
                        ADD COLUMN quantity_cancelled integer DEFAULT 0 NOT NULL,
                        ADD CONSTRAINT orders_orderitem_quantity_cancelled_check
                            CHECK (quantity_cancelled >= 0) NOT VALID
                    """,
                    "ALTER TABLE orders_orderitem DROP COLUMN quantity_cancelled",
                )
            ],
            state_operations=[
                migrations.AddField(
                    model_name="orderitem",
                    name="quantity_cancelled",
                    field=models.PositiveIntegerField(
                        db_default=0, default=0, verbose_name="cancelled"
                    ),
                )
            ],
        ),
        migrations.RemoveConstraint(
            model_name="orderitem", name="order_item_waiting_within_unshipped"
        ),
        migrations.RemoveConstraint(
            model_name="orderitem", name="order_item_shipped_within_quantity"
        ),
        AddConstraintNotValid(
            model_name="orderitem",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    quantity__gte=models.F("quantity_shipped")
                    + models.F("quantity_cancelled")
                    + models.F("quantity_waiting")
                ),
                name="order_item_shipped_within_quantity",
            ),
        ),
        migrations.RemoveConstraint(model_name="orderitem", name="order_item_total_is_product"),
        AddConstraintNotValid(
            model_name="orderitem",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    line_total=models.F("unit_price")
                    * (models.F("quantity") - models.F("quantity_cancelled"))
                ),
                name="order_item_total_is_product",
            ),
        ),
    ]
