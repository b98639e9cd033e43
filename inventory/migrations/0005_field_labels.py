"""Labels and help texts only; no column changes."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("inventory", "0004_fewer_indexes"),
    ]

    operations = [
        migrations.AlterField(
            model_name="location",
            name="priority",
            field=models.PositiveIntegerField(
                default=100,
                help_text="Stock is allocated from the lowest number first.",
                verbose_name="priority",
            ),
        ),
        migrations.AlterField(
            model_name="product",
            name="backorderable",
            field=models.BooleanField(
                default=False,
                help_text="Can be sold when out of stock.",
                verbose_name="backorderable",
            ),
        ),
        migrations.AlterField(
            model_name="product",
            name="is_active",
            field=models.BooleanField(
                default=True, help_text="Visible and available for sale.", verbose_name="active"
            ),
        ),
        migrations.AlterField(
            model_name="stockmovement",
            name="created_at",
            field=models.DateTimeField(verbose_name="date"),
        ),
        migrations.AlterField(
            model_name="stockmovement",
            name="kind",
            field=models.CharField(
                choices=[
                    ("receive", "received"),
                    ("adjust", "adjusted"),
                    ("reserve", "reserved"),
                    ("release", "released"),
                    ("ship", "shipped"),
                    ("return", "returned"),
                ],
                max_length=8,
                verbose_name="type",
            ),
        ),
        migrations.AlterField(
            model_name="stockmovement",
            name="on_hand_after",
            field=models.IntegerField(verbose_name="on hand after"),
        ),
        migrations.AlterField(
            model_name="stockmovement",
            name="on_hand_delta",
            field=models.IntegerField(default=0, verbose_name="on hand change"),
        ),
        migrations.AlterField(
            model_name="stockmovement",
            name="reserved_after",
            field=models.IntegerField(verbose_name="reserved after"),
        ),
        migrations.AlterField(
            model_name="stockmovement",
            name="reserved_delta",
            field=models.IntegerField(default=0, verbose_name="reserved change"),
        ),
    ]
