import django.core.validators
import django.db.models.deletion
import oms.core.money
from django.db import migrations, models


class Migration(migrations.Migration):
    """The sales of today, added up every minute: see reports/operations/open_days.py."""

    dependencies = [
        ("reports", "0002_daily_sales"),
    ]

    operations = [
        migrations.CreateModel(
            name="OpenDay",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("date", models.DateField()),
                ("timezone", models.CharField(max_length=64)),
                (
                    "currency",
                    oms.core.money.CurrencyField(
                        max_length=3,
                        validators=[django.core.validators.RegexValidator("^[A-Z]{3}$")],
                    ),
                ),
                ("until", models.DateTimeField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("date", "timezone", "currency"), name="open_day_once"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="OpenDayHour",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("hour", models.DateTimeField()),
                ("orders", models.BigIntegerField()),
                ("gross_sales", models.DecimalField(decimal_places=2, max_digits=20)),
                (
                    "day",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="reports.openday",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("day", "hour"), name="open_day_hour_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="OpenDaySales",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("product_id", models.UUIDField()),
                ("units", models.BigIntegerField()),
                ("revenue", models.DecimalField(decimal_places=2, max_digits=20)),
                (
                    "day",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="reports.openday",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("day", "product_id"), name="open_day_sales_once"
                    )
                ],
            },
        ),
    ]
