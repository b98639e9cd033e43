"""Amounts have the decimals of their currency: numeric columns without a scale.

See docs/decisions/0025-currency-decimals.md.
"""

from __future__ import annotations

from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models
from django.db.models.functions import Greatest
from django.db.models.lookups import LessThanOrEqual


class Migration(migrations.Migration):
    dependencies = [("payments", "0005_leases")]

    operations = [
        migrations.RunSQL(
            [
                """
                -- No rewrite: a numeric without a scale takes every value of numeric(18, 2). The
                -- checks are taken off meanwhile, or the whole table would be read under the lock.
                ALTER TABLE payments_payment
                    -- squawk-ignore ban-drop-constraint
                    DROP CONSTRAINT payment_amount_positive, DROP CONSTRAINT payment_captured_within_amount, DROP CONSTRAINT payment_refunded_within_captured, DROP CONSTRAINT payment_captured_amount_when_captured,
                    -- squawk-ignore changing-column-type
                    ALTER COLUMN amount TYPE numeric, ALTER COLUMN captured_amount TYPE numeric, ALTER COLUMN refunded_amount TYPE numeric,
                    ADD CONSTRAINT payment_amount_positive CHECK (amount > 0) NOT VALID,
                    ADD CONSTRAINT payment_captured_within_amount CHECK (captured_amount >= 0 AND captured_amount <= amount) NOT VALID,
                    ADD CONSTRAINT payment_refunded_within_captured CHECK (refunded_amount >= 0 AND refunded_amount <= captured_amount) NOT VALID,
                    ADD CONSTRAINT payment_captured_amount_when_captured CHECK (status = 'captured' OR captured_amount = 0) NOT VALID
                """
            ],
            migrations.RunSQL.noop,
        ),
        migrations.RunSQL(
            [
                """
                -- No rewrite: a numeric without a scale takes every value of numeric(18, 2). The
                -- checks are taken off meanwhile, or the whole table would be read under the lock.
                ALTER TABLE payments_refund
                    -- squawk-ignore ban-drop-constraint
                    DROP CONSTRAINT refund_amount_positive,
                    -- squawk-ignore changing-column-type
                    ALTER COLUMN amount TYPE numeric,
                    ADD CONSTRAINT refund_amount_positive CHECK (amount > 0) NOT VALID
                """
            ],
            migrations.RunSQL.noop,
        ),
        AddConstraintNotValid(
            model_name="payment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    LessThanOrEqual(
                        Greatest(
                            models.Func(
                                models.F("amount"),
                                function="min_scale",
                                output_field=models.IntegerField(),
                            ),
                            models.Func(
                                models.F("captured_amount"),
                                function="min_scale",
                                output_field=models.IntegerField(),
                            ),
                            models.Func(
                                models.F("refunded_amount"),
                                function="min_scale",
                                output_field=models.IntegerField(),
                            ),
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
                name="payment_amounts_fit_currency",
            ),
        ),
        AddConstraintNotValid(
            model_name="refund",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    LessThanOrEqual(
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
                name="refund_amount_fits_currency",
            ),
        ),
    ]
