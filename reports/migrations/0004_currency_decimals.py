"""Amounts have the decimals of their currency: numeric columns without a scale.

See docs/decisions/0025-currency-decimals.md.
"""

from __future__ import annotations

from django.db import migrations

from oms.core.money import MoneyField


class Migration(migrations.Migration):
    dependencies = [("reports", "0003_open_days")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    [
                        f"""
                        -- No rewrite: a numeric without a scale takes every value of numeric(20, 2).
                        -- squawk-ignore changing-column-type
                        ALTER TABLE {table} ALTER COLUMN {column} TYPE numeric
                        """
                    ],
                    migrations.RunSQL.noop,
                )
                for table, column in (
                    ("reports_dailysales", "revenue"),
                    ("reports_opendayhour", "gross_sales"),
                    ("reports_opendaysales", "revenue"),
                )
            ],
            state_operations=[
                migrations.AlterField(model_name=model, name=name, field=MoneyField(max_digits=20))
                for model, name in (
                    ("dailysales", "revenue"),
                    ("opendayhour", "gross_sales"),
                    ("opendaysales", "revenue"),
                )
            ],
        ),
    ]
