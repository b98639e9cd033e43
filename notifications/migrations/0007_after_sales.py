"""Kinds of cancelled items, corrections and returns, in the index of rare kinds too."""

from __future__ import annotations

from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models

_KINDS = (
    "payment_failed",
    "order_cancelled",
    "order_expired",
    "order_refunded",
    "items_cancelled",
    "address_corrected",
    "shipment_corrected",
    "return_requested",
    "return_approved",
    "return_rejected",
    "return_cancelled",
    "return_received",
    "low_stock",
    "staff_invited",
)


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("notifications", "0006_staff_invited")]

    operations = [
        migrations.AlterField(
            model_name="notification",
            name="kind",
            field=models.CharField(
                choices=[
                    ("order_placed", "order placed"),
                    ("order_paid", "order paid"),
                    ("payment_failed", "payment failed"),
                    ("order_shipped", "order shipped"),
                    ("order_delivered", "order delivered"),
                    ("order_cancelled", "order cancelled"),
                    ("order_expired", "order expired"),
                    ("order_refunded", "order refunded"),
                    ("items_cancelled", "items cancelled"),
                    ("address_corrected", "address corrected"),
                    ("shipment_corrected", "shipment corrected"),
                    ("return_requested", "return requested"),
                    ("return_approved", "return approved"),
                    ("return_rejected", "return rejected"),
                    ("return_cancelled", "return cancelled"),
                    ("return_received", "return received"),
                    ("low_stock", "low stock"),
                    ("staff_invited", "staff invited"),
                ],
                max_length=32,
                verbose_name="kind",
            ),
        ),
        AddIndexConcurrently(
            "notification",
            models.Index(
                fields=["kind", "-id"],
                name="notification_by_rare_kind",
                condition=models.Q(kind__in=_KINDS),
            ),
        ),
        RemoveIndexConcurrently("notification", "notification_rare_kinds"),
    ]
