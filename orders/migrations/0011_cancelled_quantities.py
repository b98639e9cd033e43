"""Quantities of a line can be cancelled: they will not be shipped, and leave its total."""

from __future__ import annotations

from django.db import migrations, models


_PARTS = models.Q(
    quantity__gte=models.F("quantity_shipped")
    + models.F("quantity_cancelled")
    + models.F("quantity_waiting")
)
_TOTAL = models.Q(
    line_total=models.F("unit_price") * (models.F("quantity") - models.F("quantity_cancelled"))
)


class Migration(migrations.Migration):
    dependencies = [("orders", "0010_quantity_waiting_validated")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    """
                    -- In one statement, or the check of a field of Django's would read the whole
                    -- table under the lock. The release before cancels nothing, and its rows
                    -- satisfy the new checks.
                    ALTER TABLE orders_orderitem
                        ADD COLUMN quantity_cancelled integer DEFAULT 0 NOT NULL,
                        ADD CONSTRAINT orders_orderitem_quantity_cancelled_check
                            CHECK (quantity_cancelled >= 0) NOT VALID,
                        -- squawk-ignore ban-drop-constraint
                        DROP CONSTRAINT order_item_waiting_within_unshipped,
                        -- squawk-ignore ban-drop-constraint
                        DROP CONSTRAINT order_item_shipped_within_quantity,
                        ADD CONSTRAINT order_item_shipped_within_quantity CHECK (
                            quantity >= quantity_shipped + quantity_cancelled + quantity_waiting
                        ) NOT VALID,
                        -- squawk-ignore ban-drop-constraint
                        DROP CONSTRAINT order_item_total_is_product,
                        ADD CONSTRAINT order_item_total_is_product CHECK (
                            line_total = unit_price * (quantity - quantity_cancelled)
                        ) NOT VALID
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
                ),
                migrations.RemoveConstraint("orderitem", "order_item_waiting_within_unshipped"),
                migrations.RemoveConstraint("orderitem", "order_item_shipped_within_quantity"),
                migrations.AddConstraint(
                    "orderitem",
                    models.CheckConstraint(
                        condition=_PARTS, name="order_item_shipped_within_quantity"
                    ),
                ),
                migrations.RemoveConstraint("orderitem", "order_item_total_is_product"),
                migrations.AddConstraint(
                    "orderitem",
                    models.CheckConstraint(condition=_TOTAL, name="order_item_total_is_product"),
                ),
            ],
        )
    ]
