"""Checks of the rows from before, in a transaction of its own: it locks nobody out."""

from __future__ import annotations

from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("orders", "0007_currency_decimals")]

    operations = [
        migrations.RunSQL(
            "ALTER TABLE orders_order VALIDATE CONSTRAINT order_total_not_negative",
            migrations.RunSQL.noop,
        ),
        migrations.RunSQL(
            "ALTER TABLE orders_orderitem VALIDATE CONSTRAINT order_item_price_not_negative",
            migrations.RunSQL.noop,
        ),
        migrations.RunSQL(
            "ALTER TABLE orders_orderitem VALIDATE CONSTRAINT order_item_total_is_product",
            migrations.RunSQL.noop,
        ),
        ValidateConstraint("order", "order_total_fits_currency"),
    ]
