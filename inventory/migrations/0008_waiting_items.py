"""The queue of what orders wait for."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models

import oms.core.ids


class Migration(migrations.Migration):
    dependencies = [("inventory", "0007_currency_decimals_validated")]

    operations = [
        migrations.AlterField(
            model_name="stocklevel",
            name="backorderable",
            field=models.BooleanField(default=False, editable=False, verbose_name="backorderable"),
        ),
        migrations.CreateModel(
            name="WaitingItem",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=oms.core.ids.new_id,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("order_id", models.UUIDField(verbose_name="order")),
                ("place", models.UUIDField(verbose_name="place in the queue")),
                ("quantity", models.PositiveIntegerField(verbose_name="quantity")),
                ("created_at", models.DateTimeField(verbose_name="waiting since")),
                (
                    "product",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="queue",
                        to="inventory.product",
                    ),
                ),
            ],
            options={
                "verbose_name": "waiting item",
                "verbose_name_plural": "waiting items",
                "indexes": [models.Index(fields=["order_id"], name="waiting_item_of_order")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("product", "place"), name="waiting_item_place_once"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("quantity__gt", 0), ("quantity__lte", 2000000000)),
                        name="waiting_item_quantity_in_range",
                    ),
                ],
            },
        ),
    ]
