from typing import Any

from django.db import migrations, models
from django.db.models import Q
from django.db.models.fields.json import KeyTextTransform

_NAME = "event_of_customer"
_COLUMNS = "((data->>'customer_id'), transaction, position) WHERE object_type = 'order'"
_PARTITIONS = """
    SELECT child.relname FROM pg_inherits
    JOIN pg_class AS child ON child.oid = pg_inherits.inhrelid
    WHERE pg_inherits.inhparent = 'events_event'::regclass
"""
_INVALID = "SELECT FROM pg_index WHERE indexrelid = to_regclass(%s) AND NOT indisvalid"


def add_index(apps: Any, schema_editor: Any) -> None:
    """One month after the other, while others append: only the whole would lock the log."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(f"CREATE INDEX IF NOT EXISTS {_NAME} ON ONLY events_event {_COLUMNS}")
        cursor.execute(_PARTITIONS)
        for (table,) in cursor.fetchall():
            # An interrupted run leaves an invalid one.
            cursor.execute(_INVALID, [f"{table}_customer"])
            if cursor.fetchone():
                cursor.execute(f"DROP INDEX CONCURRENTLY {table}_customer")
            cursor.execute(
                f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {table}_customer ON {table} {_COLUMNS}"
            )
            cursor.execute(f"ALTER INDEX {_NAME} ATTACH PARTITION {table}_customer")


def remove_index(apps: Any, schema_editor: Any) -> None:
    schema_editor.execute(f"DROP INDEX IF EXISTS {_NAME}")


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
