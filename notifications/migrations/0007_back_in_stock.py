"""A kind for messages about products that are back in stock, in the index of rare kinds too."""

from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models

_KINDS = (
    "payment_failed",
    "order_cancelled",
    "order_expired",
    "order_refunded",
    "back_in_stock",
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
                    ("back_in_stock", "back in stock"),
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
                name="notification_of_rare_kinds",
                condition=models.Q(kind__in=_KINDS),
            ),
        ),
        RemoveIndexConcurrently("notification", "notification_rare_kinds"),
    ]
