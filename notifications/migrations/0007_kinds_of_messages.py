"""Many kinds of messages; the index has all but the frequent ones, so no new kind changes it."""

from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("notifications", "0006_staff_invited"),
    ]

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
                    ("items_allocated", "items allocated"),
                    ("items_waiting", "items waiting"),
                    ("back_in_stock", "back in stock"),
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
            model_name="notification",
            index=models.Index(
                condition=models.Q(
                    (
                        "kind__in",
                        ("order_placed", "order_paid", "order_shipped", "order_delivered"),
                    ),
                    _negated=True,
                ),
                fields=["kind", "-id"],
                name="notification_by_kind",
            ),
        ),
        RemoveIndexConcurrently("notification", "notification_rare_kinds"),
    ]
