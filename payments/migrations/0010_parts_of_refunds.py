"""An amount that was refunded of several payments has several refunds, which know the first one."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("payments", "0009_payments_in_progress")]

    operations = [
        migrations.AddField(
            model_name="refund",
            name="part_of",
            field=models.UUIDField("part of", blank=True, null=True),
        ),
    ]
