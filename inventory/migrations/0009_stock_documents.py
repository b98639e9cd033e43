"""Receipts, transfers and counts; customers who wait for a product."""

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models
from django.db.models import F, Q

import oms.core.ids


class Migration(migrations.Migration):
    dependencies = [
        ("inventory", "0008_waiting_items"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="StockAlert",
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
                    "created_at",
                    models.DateTimeField(
                        default=django.utils.timezone.now, editable=False, verbose_name="created"
                    ),
                ),
                (
                    "customer",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "product",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="stock_alerts",
                        to="inventory.product",
                    ),
                ),
            ],
            options={
                "verbose_name": "stock alert",
                "verbose_name_plural": "stock alerts",
                "constraints": [
                    models.UniqueConstraint(fields=("product", "customer"), name="stock_alert_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="StockDocument",
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
                    "kind",
                    models.CharField(
                        choices=[
                            ("receipt", "receipt"),
                            ("transfer", "transfer"),
                            ("count", "count"),
                        ],
                        max_length=8,
                        verbose_name="type",
                    ),
                ),
                ("reference", models.CharField(max_length=64, verbose_name="reference")),
                ("fingerprint", models.CharField(editable=False, max_length=64)),
                ("items_total", models.PositiveIntegerField(verbose_name="items")),
                (
                    "items_booked",
                    models.PositiveIntegerField(default=0, verbose_name="items booked"),
                ),
                ("completed_at", models.DateTimeField(null=True, verbose_name="completed")),
                ("actor_id", models.UUIDField(null=True)),
                ("actor_label", models.CharField(max_length=254, verbose_name="by")),
                (
                    "created_at",
                    models.DateTimeField(
                        default=django.utils.timezone.now, editable=False, verbose_name="created"
                    ),
                ),
                (
                    "from_location",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="inventory.location",
                    ),
                ),
                (
                    "location",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="inventory.location",
                    ),
                ),
            ],
            options={
                "verbose_name": "stock document",
                "verbose_name_plural": "stock documents",
                "indexes": [
                    models.Index(fields=["kind", "-id"], name="stock_document_of_kind"),
                    models.Index(
                        condition=Q(completed_at__isnull=True),
                        fields=["id"],
                        name="stock_document_unfinished",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("kind", "reference"), name="stock_document_once"
                    ),
                    models.CheckConstraint(
                        condition=Q(kind="transfer", from_location__isnull=False)
                        | Q(~Q(kind="transfer"), from_location__isnull=True),
                        name="stock_document_only_transfers_from",
                    ),
                    models.CheckConstraint(
                        condition=~Q(from_location=F("location")) | Q(from_location__isnull=True),
                        name="stock_document_between_locations",
                    ),
                    models.CheckConstraint(
                        condition=Q(items_booked=F("items_total"), completed_at__isnull=False)
                        | Q(items_booked__lt=F("items_total"), completed_at__isnull=True),
                        name="stock_document_completed_when_booked",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="StockDocumentItem",
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
                ("number", models.PositiveSmallIntegerField()),
                ("quantity", models.PositiveIntegerField(verbose_name="quantity")),
                (
                    "expected_on_hand",
                    models.PositiveIntegerField(null=True, verbose_name="expected on hand"),
                ),
                (
                    "on_hand_delta",
                    models.IntegerField(null=True, verbose_name="on hand change"),
                ),
                (
                    "document",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="items",
                        to="inventory.stockdocument",
                    ),
                ),
                (
                    "product",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="inventory.product",
                    ),
                ),
            ],
            options={
                "verbose_name": "stock document item",
                "verbose_name_plural": "stock document items",
                "ordering": ["number"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("document", "number"), name="stock_document_item_numbered"
                    ),
                    models.UniqueConstraint(
                        fields=("document", "product"), name="stock_document_item_once"
                    ),
                    models.CheckConstraint(
                        condition=Q(quantity__lte=2_000_000_000),
                        name="stock_document_item_in_range",
                    ),
                ],
            },
        ),
    ]
