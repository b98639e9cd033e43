"""The language of each customer."""

from __future__ import annotations

import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("users", "0007_permissions")]

    operations = [
        migrations.AddField(
            model_name="user",
            name="language",
            field=models.CharField(
                blank=True,
                db_default="",
                help_text=(
                    "A language tag such as de-AT (BCP 47). Empty: the shop's own language."
                ),
                max_length=35,
                validators=[
                    django.core.validators.RegexValidator(
                        "^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*\\Z", "Enter a language tag."
                    )
                ],
                verbose_name="language",
            ),
        ),
    ]
