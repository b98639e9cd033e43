"""What was captured and refunded at the provider is recorded as it is.

Replaced checks are taken off and added without reading the table; 0009 validates them.
"""

from __future__ import annotations

from decimal import Decimal

from django.db import migrations, models

import oms.core.money
from oms.core.money import ZERO

_REFUNDED = models.Q(
    refunded_at_provider__gte=ZERO,
    refunded_at_provider__lte=models.F("captured_amount"),
    refunded_amount__gte=models.F("refunded_at_provider"),
    refunded_amount__lte=models.F("captured_amount") + models.F("refunded_at_provider"),
)
_ORIGINS = [("shop", "shop"), ("provider", "provider")]


class Migration(migrations.Migration):
    dependencies = [("payments", "0007_currency_decimals_validated")]

    operations = [
        migrations.AddField(
            model_name="payment",
            name="charge_key",
            field=models.CharField(
                "provider's key", blank=True, db_default="", default="", max_length=255
            ),
        ),
        migrations.AddField(
            model_name="payment",
            name="origin",
            field=models.CharField(
                "origin", choices=_ORIGINS, db_default="shop", default="shop", max_length=8
            ),
        ),
        migrations.AddField(
            model_name="payment",
            name="refunded_at_provider",
            field=oms.core.money.MoneyField(
                "refunded at the provider", db_default=Decimal(0), default=Decimal(0)
            ),
        ),
        migrations.AddField(
            model_name="refund",
            name="is_dispute",
            field=models.BooleanField("dispute", db_default=False, default=False),
        ),
        migrations.AddField(
            model_name="refund",
            name="origin",
            field=models.CharField(
                "origin", choices=_ORIGINS, db_default="shop", default="shop", max_length=8
            ),
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[
                # The release before writes none, and reads those of its own orders alone. As lists,
                # of which Django keeps the comments.
                migrations.RunSQL(
                    [
                        f"""
                        -- squawk-ignore ban-drop-not-null
                        ALTER TABLE {table} ALTER COLUMN order_id DROP NOT NULL
                        """
                        for table in ("payments_payment", "payments_refund")
                    ],
                    migrations.RunSQL.noop,
                )
            ],
            state_operations=[
                migrations.AlterField("payment", "order_id", models.UUIDField("order", null=True)),
                migrations.AlterField("refund", "order_id", models.UUIDField("order", null=True)),
            ],
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    [
                        """
                    ALTER TABLE payments_payment
                        -- squawk-ignore ban-drop-constraint
                        DROP CONSTRAINT payment_captured_within_amount, DROP CONSTRAINT payment_refunded_within_captured,
                        ADD CONSTRAINT payment_each_refunded_within_captured CHECK (
                            refunded_at_provider >= 0 AND refunded_at_provider <= captured_amount
                            AND refunded_amount >= refunded_at_provider
                            AND refunded_amount <= captured_amount + refunded_at_provider
                        ) NOT VALID
                    """
                    ],
                    migrations.RunSQL.noop,
                )
            ],
            state_operations=[
                migrations.RemoveConstraint("payment", "payment_captured_within_amount"),
                migrations.RemoveConstraint("payment", "payment_refunded_within_captured"),
                migrations.AddConstraint(
                    "payment",
                    models.CheckConstraint(
                        condition=_REFUNDED, name="payment_each_refunded_within_captured"
                    ),
                ),
            ],
        ),
    ]
