"""What customers and staff note of an order; the index of references follows by itself."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("orders", "0015_partially_paid_and_held_validated")]

    operations = [
        migrations.AddField(
            model_name="order",
            name="billing_address",
            field=models.JSONField(blank=True, null=True, verbose_name="billing address"),
        ),
        migrations.AddField(
            model_name="order",
            name="internal_note",
            field=models.CharField(
                blank=True,
                db_default="",
                help_text="For staff only. Customers never see it.",
                max_length=2000,
                verbose_name="internal note",
            ),
        ),
        migrations.AddField(
            model_name="order",
            name="reference",
            field=models.CharField(
                blank=True,
                db_collation="C",
                max_length=64,
                null=True,
                verbose_name="reference",
            ),
        ),
        migrations.AddField(
            model_name="order",
            name="metadata",
            field=models.JSONField(
                blank=True, db_default={}, default=dict, verbose_name="metadata"
            ),
        ),
        migrations.AddField(
            model_name="order",
            name="language",
            field=models.CharField(
                blank=True,
                db_default="",
                help_text=(
                    "A language tag such as de-AT (BCP 47). Empty: the shop's own language."
                ),
                max_length=35,
                verbose_name="language",
            ),
        ),
    ]
