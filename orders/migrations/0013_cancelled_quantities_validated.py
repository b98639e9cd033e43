"""Checks of the rows from before, in a transaction of its own: it locks nobody out."""

from __future__ import annotations

from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("orders", "0012_returns")]

    operations = [
        migrations.RunSQL(
            "ALTER TABLE orders_orderitem"
            " VALIDATE CONSTRAINT orders_orderitem_quantity_cancelled_check",
            migrations.RunSQL.noop,
        ),
        ValidateConstraint("orderitem", "order_item_shipped_within_quantity"),
        ValidateConstraint("orderitem", "order_item_total_is_product"),
    ]
