"""A refund at the provider may have further parts of the same payment, once they fit."""

from __future__ import annotations

from django.db import migrations

_CREATE = """
    CREATE UNIQUE INDEX CONCURRENTLY refund_at_provider_once
        ON payments_refund (payment_id, provider_reference) WHERE origin = 'provider'
"""


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("payments", "0011_unmatched_refunds")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL("DROP INDEX CONCURRENTLY refund_at_provider_once", _CREATE),
            ],
            state_operations=[migrations.RemoveConstraint("refund", "refund_at_provider_once")],
        ),
    ]
