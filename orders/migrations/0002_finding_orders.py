import django.db.models.deletion
import django.db.models.functions.text
from decimal import Decimal
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("inventory", "0002_movements_as_their_kinds"),
        ("orders", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AlterField(
            model_name="order",
            name="number",
            field=models.CharField(db_collation="C", max_length=20, verbose_name="number"),
        ),
        migrations.AlterField(
            model_name="orderitem",
            name="product",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="inventory.product",
            ),
        ),
        migrations.AddIndex(
            model_name="order",
            index=models.Index(fields=["payment_status", "-id"], name="order_by_payment_status"),
        ),
        migrations.AddIndex(
            model_name="order",
            index=models.Index(
                fields=["fulfilment_status", "-id"], name="order_by_fulfilment_status"
            ),
        ),
        migrations.AddIndex(
            model_name="order",
            index=models.Index(
                django.db.models.functions.text.Reverse("number"), name="order_number_end"
            ),
        ),
        migrations.AddIndex(
            model_name="shipment",
            index=models.Index(fields=["tracking_number"], name="shipment_tracking_number"),
        ),
        migrations.AddConstraint(
            model_name="order",
            constraint=models.UniqueConstraint(fields=("number",), name="orders_order_number_once"),
        ),
        migrations.AddConstraint(
            model_name="order",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("cancelled_at__isnull", False), ("status", "cancelled")),
                    models.Q(
                        models.Q(("status", "cancelled"), _negated=True),
                        ("cancelled_at__isnull", True),
                    ),
                    _connector="OR",
                ),
                name="order_cancelled_has_its_moment",
            ),
        ),
        migrations.AddConstraint(
            model_name="order",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("confirmed_at__isnull", False),
                    ("status__in", ["pending", "expired", "cancelled"]),
                    _connector="OR",
                ),
                name="order_confirmed_has_its_moment",
            ),
        ),
        migrations.AddConstraint(
            model_name="orderitem",
            constraint=models.CheckConstraint(
                condition=models.Q(("unit_price__gte", Decimal("0.00"))),
                name="order_item_price_not_negative",
            ),
        ),
        migrations.AddConstraint(
            model_name="shipment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("status__in", ["pending", "shipped", "delivered", "cancelled"])
                ),
                name="shipment_status_known",
            ),
        ),
    ]
