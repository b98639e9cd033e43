"""Refunds at the provider whose charges are not known yet."""

from __future__ import annotations

from django.db import migrations, models

import oms.core.ids
import oms.core.money


class Migration(migrations.Migration):
    dependencies = [("payments", "0010_parts_of_refunds")]

    operations = [
        migrations.CreateModel(
            name="UnmatchedRefund",
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
                ("provider", models.CharField(max_length=32, verbose_name="provider")),
                (
                    "provider_reference",
                    models.CharField(max_length=100, verbose_name="provider's reference"),
                ),
                (
                    "charge_reference",
                    models.CharField(max_length=100, verbose_name="provider's charge"),
                ),
                ("amount", oms.core.money.MoneyField(verbose_name="amount")),
                ("currency", models.CharField(blank=True, max_length=3, verbose_name="currency")),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("requested", "requested"),
                            ("processing", "processing"),
                            ("unknown", "unknown"),
                            ("succeeded", "succeeded"),
                            ("failed", "failed"),
                        ],
                        max_length=10,
                        verbose_name="status",
                    ),
                ),
                ("is_dispute", models.BooleanField(verbose_name="dispute")),
                ("reason", models.CharField(blank=True, max_length=500, verbose_name="reason")),
                ("created_at", models.DateTimeField(verbose_name="created")),
                ("is_reported", models.BooleanField(default=False, verbose_name="reported")),
            ],
            options={
                "verbose_name": "unmatched refund",
                "verbose_name_plural": "unmatched refunds",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("provider", "provider_reference"), name="unmatched_refund_once"
                    )
                ],
            },
        ),
    ]
