"""Field names and labels in the field's terms; no column changes."""

import django.core.validators
import oms.core.money
from decimal import Decimal
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("payments", "0003_storage")]

    operations = [
        migrations.AlterField(
            model_name="payment",
            name="wanted",
            field=models.CharField(
                blank=True,
                choices=[("", "none"), ("capture", "capture"), ("void", "void")],
                db_column="wanted",
                default="",
                max_length=7,
                verbose_name="requested action",
            ),
        ),
        migrations.RenameField(
            model_name="payment", old_name="wanted", new_name="requested_action"
        ),
        migrations.AlterField(
            model_name="payment",
            name="capture_method",
            field=models.CharField(
                choices=[("automatic", "automatic"), ("manual", "manual")],
                default="automatic",
                max_length=9,
                verbose_name="capture method",
            ),
        ),
        migrations.AlterField(
            model_name="payment",
            name="captured_amount",
            field=oms.core.money.MoneyField(
                decimal_places=2,
                default=Decimal("0.00"),
                max_digits=18,
                validators=[django.core.validators.MinValueValidator(Decimal("0.00"))],
                verbose_name="captured amount",
            ),
        ),
        migrations.AlterField(
            model_name="payment",
            name="failure_code",
            field=models.CharField(blank=True, max_length=64, verbose_name="failure code"),
        ),
        migrations.AlterField(
            model_name="payment",
            name="failure_message",
            field=models.CharField(blank=True, max_length=500, verbose_name="failure message"),
        ),
        migrations.AlterField(
            model_name="payment",
            name="refunded_amount",
            field=oms.core.money.MoneyField(
                decimal_places=2,
                default=Decimal("0.00"),
                max_digits=18,
                validators=[django.core.validators.MinValueValidator(Decimal("0.00"))],
                verbose_name="refunded amount",
            ),
        ),
        migrations.AlterField(
            model_name="providermessage",
            name="message_id",
            field=models.CharField(max_length=255, verbose_name="message ID"),
        ),
        migrations.AlterField(
            model_name="providermessage",
            name="received_at",
            field=models.DateTimeField(verbose_name="received at"),
        ),
        migrations.AlterField(
            model_name="refund",
            name="failure_code",
            field=models.CharField(blank=True, max_length=64, verbose_name="failure code"),
        ),
    ]
