"""Checks of the rows from before, in a transaction of its own: it locks nobody out."""

from __future__ import annotations

from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("orders", "0009_quantity_waiting")]

    operations = [
        migrations.RunSQL(
            "ALTER TABLE orders_orderitem"
            " VALIDATE CONSTRAINT orders_orderitem_quantity_waiting_check",
            migrations.RunSQL.noop,
        ),
        ValidateConstraint("orderitem", "order_item_waiting_within_unshipped"),
    ]
