"""Refunds of other amounts, and of charges that are not known."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("exceptions", "0002_kinds"),
    ]

    operations = [
        migrations.AlterField(
            model_name="exceptionrecord",
            name="kind",
            field=models.CharField(
                choices=[
                    ("payment_unknown", "payment without an outcome"),
                    ("payment_stuck", "payment given up"),
                    ("capture_rejected", "capture or void rejected"),
                    ("captured_amount_differs", "another amount captured"),
                    ("captured_currency_differs", "another currency captured"),
                    ("captured_after_final", "captured after it had failed"),
                    ("charge_at_provider", "charge made at the provider"),
                    ("refund_stuck", "refund given up"),
                    ("refund_failed", "refund failed"),
                    ("refund_amount_differs", "another amount refunded"),
                    ("refund_at_provider", "refund made at the provider"),
                    ("refund_unmatched", "refund of an unknown charge"),
                    ("dispute", "dispute"),
                    ("stock_lost", "order lost its stock"),
                    ("dead_mail", "e-mail given up"),
                    ("dead_event", "event given up"),
                ],
                max_length=40,
                verbose_name="kind",
            ),
        ),
    ]
