from typing import Any

from django.db import migrations, models
from django.db.models import Q
from django.db.models.fields.json import KeyTextTransform

from oms.db.partition_indexes import add_partitioned_index, remove_partitioned_index

_NAME = "event_of_customer"


def add_index(apps: Any, schema_editor: Any) -> None:
    add_partitioned_index(
        schema_editor,
        table="events_event",
        name=_NAME,
        suffix="customer",
        definition="((data->>'customer_id'), transaction, position) WHERE object_type = 'order'",
    )


def remove_index(apps: Any, schema_editor: Any) -> None:
    remove_partitioned_index(schema_editor, name=_NAME)


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("events", "0005_dead_letters")]
    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunPython(add_index, remove_index)],
            state_operations=[
                migrations.AddIndex(
                    model_name="event",
                    index=models.Index(
                        KeyTextTransform("customer_id", "data"),
                        "transaction",
                        "position",
                        condition=Q(object_type="order"),
                        name=_NAME,
                    ),
                )
            ],
        )
    ]
