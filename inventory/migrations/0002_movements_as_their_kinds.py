import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("inventory", "0001_initial"),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="stockmovement",
            name="movement_moves",
        ),
        migrations.AlterField(
            model_name="stocklevel",
            name="product",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="stock_levels",
                to="inventory.product",
            ),
        ),
        migrations.AlterField(
            model_name="stockmovement",
            name="location",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="movements",
                to="inventory.location",
            ),
        ),
        migrations.AlterField(
            model_name="stockmovement",
            name="product",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="movements",
                to="inventory.product",
            ),
        ),
        migrations.AddIndex(
            model_name="stockmovement",
            index=models.Index(fields=["kind", "-id"], name="movement_of_kind"),
        ),
        migrations.AddConstraint(
            model_name="stockmovement",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("kind__in", ["receive", "return"]),
                        ("on_hand_delta__gt", 0),
                        ("reserved_delta", 0),
                    ),
                    models.Q(
                        models.Q(("on_hand_delta", 0), _negated=True),
                        ("kind", "adjust"),
                        ("reserved_delta", 0),
                    ),
                    models.Q(("kind", "reserve"), ("on_hand_delta", 0), ("reserved_delta__gt", 0)),
                    models.Q(("kind", "release"), ("on_hand_delta", 0), ("reserved_delta__lt", 0)),
                    models.Q(
                        ("kind", "ship"),
                        ("on_hand_delta__lt", 0),
                        ("reserved_delta", models.F("on_hand_delta")),
                    ),
                    _connector="OR",
                ),
                name="movement_moves_as_its_kind",
            ),
        ),
        migrations.AddConstraint(
            model_name="stockmovement",
            constraint=models.CheckConstraint(
                condition=models.Q(("on_hand_after__gte", 0), ("reserved_after__gte", 0)),
                name="movement_balances_not_negative",
            ),
        ),
    ]
