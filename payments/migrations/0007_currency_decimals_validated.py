"""Checks of the rows from before, in a transaction of its own: it locks nobody out."""

from __future__ import annotations

from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("payments", "0006_currency_decimals")]

    operations = [
        migrations.RunSQL(
            "ALTER TABLE payments_payment VALIDATE CONSTRAINT payment_amount_positive",
            migrations.RunSQL.noop,
        ),
        migrations.RunSQL(
            "ALTER TABLE payments_payment VALIDATE CONSTRAINT payment_captured_within_amount",
            migrations.RunSQL.noop,
        ),
        migrations.RunSQL(
            "ALTER TABLE payments_payment VALIDATE CONSTRAINT payment_refunded_within_captured",
            migrations.RunSQL.noop,
        ),
        migrations.RunSQL(
            "ALTER TABLE payments_payment VALIDATE CONSTRAINT payment_captured_amount_when_captured",
            migrations.RunSQL.noop,
        ),
        migrations.RunSQL(
            "ALTER TABLE payments_refund VALIDATE CONSTRAINT refund_amount_positive",
            migrations.RunSQL.noop,
        ),
        ValidateConstraint("payment", "payment_amounts_fit_currency"),
        ValidateConstraint("refund", "refund_amount_fits_currency"),
    ]
