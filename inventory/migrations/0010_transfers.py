"""A kind of movement for transfers between locations."""

from django.db import migrations, models
from django.db.models import F, Q

_RULES = (
    Q(kind__in=["receive", "return"], on_hand_delta__gt=0, reserved_delta=0)
    | Q(~Q(on_hand_delta=0), kind__in=["adjust", "transfer"], reserved_delta=0)
    | Q(kind="reserve", on_hand_delta=0, reserved_delta__gt=0)
    | Q(kind="release", on_hand_delta=0, reserved_delta__lt=0)
    | Q(kind="ship", on_hand_delta__lt=0, reserved_delta=F("on_hand_delta"))
)


class Migration(migrations.Migration):
    dependencies = [("inventory", "0009_stock_documents")]

    operations = [
        migrations.AlterField(
            model_name="stockmovement",
            name="kind",
            field=models.CharField(
                choices=[
                    ("receive", "received"),
                    ("adjust", "adjusted"),
                    ("transfer", "transferred"),
                    ("reserve", "reserved"),
                    ("release", "released"),
                    ("ship", "shipped"),
                    ("return", "returned"),
                ],
                max_length=8,
                verbose_name="type",
            ),
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    [
                        """
                        ALTER TABLE inventory_stockmovement
                            -- squawk-ignore ban-drop-constraint
                            DROP CONSTRAINT movement_moves_as_its_kind,
                            ADD CONSTRAINT movement_moves_as_its_kind CHECK (
                                kind IN ('receive', 'return') AND on_hand_delta > 0 AND reserved_delta = 0
                                OR kind IN ('adjust', 'transfer') AND on_hand_delta <> 0 AND reserved_delta = 0
                                OR kind = 'reserve' AND on_hand_delta = 0 AND reserved_delta > 0
                                OR kind = 'release' AND on_hand_delta = 0 AND reserved_delta < 0
                                OR kind = 'ship' AND on_hand_delta < 0 AND reserved_delta = on_hand_delta
                            ) NOT VALID
                        """
                    ],
                    migrations.RunSQL.noop,
                ),
            ],
            state_operations=[
                migrations.RemoveConstraint(
                    model_name="stockmovement", name="movement_moves_as_its_kind"
                ),
                migrations.AddConstraint(
                    model_name="stockmovement",
                    constraint=models.CheckConstraint(
                        condition=_RULES, name="movement_moves_as_its_kind"
                    ),
                ),
            ],
        ),
    ]
