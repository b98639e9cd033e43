"""Amounts have the decimals of their currency: numeric columns without a scale.

See docs/decisions/0025-currency-decimals.md.
"""

from __future__ import annotations

from decimal import Decimal

from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models
from django.db.models.lookups import LessThanOrEqual


class Migration(migrations.Migration):
    dependencies = [("inventory", "0005_field_labels")]

    operations = [
        migrations.RunSQL(
            [
                """
                -- No rewrite: a numeric without a scale takes every value of numeric(18, 2). The
                -- checks are taken off meanwhile, or the whole table would be read under the lock.
                ALTER TABLE inventory_product
                    -- squawk-ignore ban-drop-constraint
                    DROP CONSTRAINT product_price_in_range,
                    -- squawk-ignore changing-column-type
                    ALTER COLUMN price TYPE numeric,
                    ADD CONSTRAINT product_price_in_range CHECK (price >= 0 AND price <= 9999999.999) NOT VALID
                """
            ],
            migrations.RunSQL.noop,
        ),
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.RemoveConstraint(model_name="product", name="product_price_in_range"),
                migrations.AddConstraint(
                    model_name="product",
                    constraint=models.CheckConstraint(
                        condition=models.Q(price__gte=0, price__lte=Decimal("9999999.999")),
                        name="product_price_in_range",
                    ),
                ),
            ],
        ),
        AddConstraintNotValid(
            model_name="product",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    LessThanOrEqual(
                        models.Func(
                            models.F("price"),
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
                name="product_price_fits_currency",
            ),
        ),
    ]
