"""Amounts have the decimals of their currency: numeric columns without a scale.

See docs/decisions/0025-currency-decimals.md.
"""

from __future__ import annotations

from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models
from django.db.models.lookups import LessThanOrEqual


class Migration(migrations.Migration):
    dependencies = [("orders", "0006_fewer_indexes")]

    operations = [
        migrations.RunSQL(
            [
                """
                -- No rewrite: a numeric without a scale takes every value of numeric(18, 2). The
                -- checks are taken off meanwhile, or the whole table would be read under the lock.
                ALTER TABLE orders_order
                    -- squawk-ignore ban-drop-constraint
                    DROP CONSTRAINT order_total_not_negative,
                    -- squawk-ignore changing-column-type
                    ALTER COLUMN total TYPE numeric,
                    ADD CONSTRAINT order_total_not_negative CHECK (total >= 0) NOT VALID
                """
            ],
            migrations.RunSQL.noop,
        ),
        migrations.RunSQL(
            [
                """
                -- No rewrite: a numeric without a scale takes every value of numeric(18, 2). The
                -- checks are taken off meanwhile, or the whole table would be read under the lock.
                ALTER TABLE orders_orderitem
                    -- squawk-ignore ban-drop-constraint
                    DROP CONSTRAINT order_item_price_not_negative, DROP CONSTRAINT order_item_total_is_product,
                    -- squawk-ignore changing-column-type
                    ALTER COLUMN unit_price TYPE numeric, ALTER COLUMN line_total TYPE numeric,
                    ADD CONSTRAINT order_item_price_not_negative CHECK (unit_price >= 0) NOT VALID,
                    ADD CONSTRAINT order_item_total_is_product CHECK (line_total = unit_price * quantity) NOT VALID
                """
            ],
            migrations.RunSQL.noop,
        ),
        AddConstraintNotValid(
            model_name="order",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    LessThanOrEqual(
                        models.Func(
                            models.F("total"),
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
                name="order_total_fits_currency",
            ),
        ),
    ]
