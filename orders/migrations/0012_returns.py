"""Cancellations, returns and refunded items."""

from __future__ import annotations

import django.core.validators
import django.db.models.deletion
import django.db.models.expressions
import django.db.models.lookups
import oms.core.ids
import oms.core.money
from decimal import Decimal
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("inventory", "0007_currency_decimals_validated"),
        ("orders", "0011_cancelled_quantities"),
    ]

    operations = [
        migrations.CreateModel(
            name="Cancellation",
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
                (
                    "amount",
                    oms.core.money.MoneyField(
                        decimal_places=3,
                        max_digits=18,
                        validators=[django.core.validators.MinValueValidator(Decimal("0"))],
                        verbose_name="amount",
                    ),
                ),
                (
                    "currency",
                    oms.core.money.CurrencyField(
                        max_length=3,
                        validators=[django.core.validators.RegexValidator("^[A-Z]{3}$")],
                        verbose_name="currency",
                    ),
                ),
                ("reason", models.CharField(blank=True, max_length=500, verbose_name="reason")),
                ("refund_id", models.UUIDField(blank=True, null=True, verbose_name="refund")),
                ("created_at", models.DateTimeField(verbose_name="created")),
                (
                    "order",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="cancellations",
                        to="orders.order",
                    ),
                ),
            ],
            options={
                "verbose_name": "cancellation",
                "verbose_name_plural": "cancellations",
                "ordering": ["id"],
            },
        ),
        migrations.CreateModel(
            name="CancellationItem",
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
                ("quantity", models.PositiveIntegerField(verbose_name="quantity")),
                (
                    "cancellation",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="items",
                        to="orders.cancellation",
                    ),
                ),
                (
                    "order_item",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="orders.orderitem",
                    ),
                ),
            ],
            options={
                "verbose_name": "cancellation item",
                "verbose_name_plural": "cancellation items",
            },
        ),
        migrations.CreateModel(
            name="OrderReturn",
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
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("requested", "requested"),
                            ("approved", "approved"),
                            ("partially_received", "partially received"),
                            ("received", "received"),
                            ("rejected", "rejected"),
                            ("cancelled", "cancelled"),
                        ],
                        default="requested",
                        max_length=18,
                        verbose_name="status",
                    ),
                ),
                ("reason", models.CharField(blank=True, max_length=500, verbose_name="reason")),
                ("created_at", models.DateTimeField(verbose_name="created")),
                ("updated_at", models.DateTimeField(verbose_name="updated")),
                (
                    "order",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="returns",
                        to="orders.order",
                    ),
                ),
            ],
            options={
                "verbose_name": "return",
                "verbose_name_plural": "returns",
                "ordering": ["id"],
            },
        ),
        migrations.CreateModel(
            name="RefundItem",
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
                ("refund_id", models.UUIDField(verbose_name="refund")),
                ("quantity", models.PositiveIntegerField(verbose_name="quantity")),
                (
                    "quantity_restocked",
                    models.PositiveIntegerField(default=0, verbose_name="restocked"),
                ),
                (
                    "order_item",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="refunded",
                        to="orders.orderitem",
                    ),
                ),
            ],
            options={
                "verbose_name": "refunded item",
                "verbose_name_plural": "refunded items",
            },
        ),
        migrations.CreateModel(
            name="ReturnItem",
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
                ("quantity", models.PositiveIntegerField(verbose_name="quantity")),
                (
                    "quantity_received",
                    models.PositiveIntegerField(default=0, verbose_name="received"),
                ),
                ("reason", models.CharField(blank=True, max_length=500, verbose_name="reason")),
                (
                    "order_item",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="orders.orderitem",
                    ),
                ),
                (
                    "order_return",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="items",
                        to="orders.orderreturn",
                    ),
                ),
            ],
            options={
                "verbose_name": "return item",
                "verbose_name_plural": "return items",
            },
        ),
        migrations.CreateModel(
            name="ReturnReceipt",
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
                ("refund_id", models.UUIDField(blank=True, null=True, verbose_name="refund")),
                ("created_at", models.DateTimeField(verbose_name="created")),
                (
                    "order_return",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="receipts",
                        to="orders.orderreturn",
                    ),
                ),
            ],
            options={
                "verbose_name": "return receipt",
                "verbose_name_plural": "return receipts",
                "ordering": ["id"],
            },
        ),
        migrations.CreateModel(
            name="ReturnReceiptItem",
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
                ("quantity", models.PositiveIntegerField(verbose_name="quantity")),
                (
                    "outcome",
                    models.CharField(
                        choices=[("restock", "restock"), ("unusable", "unusable")],
                        max_length=8,
                        verbose_name="outcome",
                    ),
                ),
                ("location", models.CharField(blank=True, max_length=32, verbose_name="location")),
                (
                    "receipt",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="items",
                        to="orders.returnreceipt",
                    ),
                ),
                (
                    "return_item",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="receipts",
                        to="orders.returnitem",
                    ),
                ),
            ],
            options={
                "verbose_name": "received item",
                "verbose_name_plural": "received items",
            },
        ),
        migrations.AddIndex(
            model_name="cancellation",
            index=models.Index(fields=["created_at"], name="cancellation_created"),
        ),
        migrations.AddConstraint(
            model_name="cancellation",
            constraint=models.CheckConstraint(
                condition=models.Q(("amount__gte", Decimal("0"))),
                name="cancellation_amount_not_negative",
            ),
        ),
        migrations.AddConstraint(
            model_name="cancellation",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    django.db.models.lookups.LessThanOrEqual(
                        models.Func(
                            models.F("amount"),
                            function="min_scale",
                            output_field=models.IntegerField(),
                        ),
                        models.Case(
                            models.When(
                                currency__in=[
                                    "BIF",
                                    "CLP",
                                    "DJF",
                                    "GNF",
                                    "ISK",
                                    "JPY",
                                    "KMF",
                                    "KRW",
                                    "PYG",
                                    "RWF",
                                    "UGX",
                                    "VND",
                                    "VUV",
                                    "XAF",
                                    "XOF",
                                    "XPF",
                                ],
                                then=0,
                            ),
                            models.When(
                                currency__in=["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"],
                                then=3,
                            ),
                            default=2,
                            output_field=models.IntegerField(),
                        ),
                    )
                ),
                name="cancellation_amount_fits_currency",
            ),
        ),
        migrations.AddConstraint(
            model_name="cancellationitem",
            constraint=models.UniqueConstraint(
                fields=("cancellation", "order_item"), name="cancellation_item_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="cancellationitem",
            constraint=models.CheckConstraint(
                condition=models.Q(("quantity__gt", 0)), name="cancellation_item_quantity_positive"
            ),
        ),
        migrations.AddIndex(
            model_name="orderreturn",
            index=models.Index(
                condition=models.Q(("status__in", ("requested", "approved", "partially_received"))),
                fields=["status", "-id"],
                name="return_open",
            ),
        ),
        migrations.AddIndex(
            model_name="orderreturn",
            index=models.Index(fields=["updated_at", "id"], name="return_updated"),
        ),
        migrations.AddConstraint(
            model_name="orderreturn",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "status__in",
                        [
                            "requested",
                            "approved",
                            "partially_received",
                            "received",
                            "rejected",
                            "cancelled",
                        ],
                    )
                ),
                name="return_status_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="refunditem",
            constraint=models.UniqueConstraint(
                fields=("refund_id", "order_item"), name="refund_item_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="refunditem",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("quantity__gt", 0), ("quantity_restocked__lte", models.F("quantity"))
                ),
                name="refund_item_quantities_fit",
            ),
        ),
        migrations.AddConstraint(
            model_name="returnitem",
            constraint=models.UniqueConstraint(
                fields=("order_return", "order_item"), name="return_item_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="returnitem",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("quantity__gt", 0), ("quantity_received__lte", models.F("quantity"))
                ),
                name="return_item_quantities_fit",
            ),
        ),
        migrations.AddConstraint(
            model_name="returnreceiptitem",
            constraint=models.CheckConstraint(
                condition=models.Q(("quantity__gt", 0)), name="return_receipt_quantity_positive"
            ),
        ),
        migrations.AddConstraint(
            model_name="returnreceiptitem",
            constraint=models.CheckConstraint(
                condition=models.Q(("outcome__in", ["restock", "unusable"])),
                name="return_outcome_known",
            ),
        ),
    ]
