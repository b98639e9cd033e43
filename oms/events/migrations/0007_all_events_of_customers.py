from typing import Any

from django.db import migrations, models
from django.db.models import Q
from django.db.models.fields.json import KeyTextTransform
from django.db.models.lookups import IsNull

from oms.db.partition_indexes import add_partitioned_index, remove_partitioned_index

_BEFORE = "event_of_customer"
_NAME = "event_by_customer"
_KEY = "(data->>'customer_id')"
_PLACES = f"({_KEY}, transaction, position)"


def widen_index(apps: Any, schema_editor: Any) -> None:
    """Index all events of a customer, no longer those of orders alone."""
    add_partitioned_index(
        schema_editor,
        table="events_event",
        name=_NAME,
        suffix="by_customer",
        definition=f"{_PLACES} WHERE {_KEY} IS NOT NULL",
    )
    remove_partitioned_index(schema_editor, name=_BEFORE)


def narrow_index(apps: Any, schema_editor: Any) -> None:
    add_partitioned_index(
        schema_editor,
        table="events_event",
        name=_BEFORE,
        suffix="customer",
        definition=f"{_PLACES} WHERE object_type = 'order'",
    )
    remove_partitioned_index(schema_editor, name=_NAME)


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("events", "0006_events_of_customers")]
    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunPython(widen_index, narrow_index)],
            state_operations=[
                migrations.RemoveIndex(model_name="event", name=_BEFORE),
                migrations.AddIndex(
                    model_name="event",
                    index=models.Index(
                        KeyTextTransform("customer_id", "data"),
                        "transaction",
                        "position",
                        condition=Q(IsNull(KeyTextTransform("customer_id", "data"), False)),
                        name=_NAME,
                    ),
                ),
            ],
        )
    ]
