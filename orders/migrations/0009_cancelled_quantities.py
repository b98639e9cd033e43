"""Quantities of a line can be cancelled: they will not be shipped, and leave its total."""

from __future__ import annotations

from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("orders", "0008_currency_decimals_validated")]

    operations = [
        migrations.AddField(
            model_name="orderitem",
            name="quantity_cancelled",
            field=models.PositiveIntegerField(db_default=0, default=0, verbose_name="cancelled"),
        ),
        migrations.RemoveConstraint(
            model_name="orderitem", name="order_item_shipped_within_quantity"
        ),
        AddConstraintNotValid(
            model_name="orderitem",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    quantity__gte=models.F("quantity_shipped") + models.F("quantity_cancelled")
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
