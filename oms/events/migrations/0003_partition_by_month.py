"""The log becomes a table of months. Its rows are moved, in one transaction, as they are.

While it runs nobody reads or writes the log: about four minutes for ten million events, and the
room of a second log on the disk until it ends.
"""

from datetime import date

from django.db import migrations, models
from django.db.models.functions import Now

import oms.core.ids
from oms.core import clock
from oms.events.partitions import (
    MONTHS_AHEAD,
    first_id_of,
    make_default_partition,
    make_partitions,
    month_of,
    months_later,
)

# Parked events name their event by its id from now on.
_ASIDE = """
    LOCK TABLE events_event, events_parkedevent IN ACCESS EXCLUSIVE MODE;
    ALTER TABLE events_parkedevent ADD COLUMN event_uuid uuid;
    UPDATE events_parkedevent AS parked SET event_uuid = event.id
        FROM events_event AS event WHERE event.position = parked.event_id;
    SET CONSTRAINTS ALL IMMEDIATE;
    ALTER TABLE events_parkedevent DROP COLUMN event_id;
    ALTER TABLE events_parkedevent RENAME COLUMN event_uuid TO event_id;
    ALTER TABLE events_parkedevent ALTER COLUMN event_id SET NOT NULL;

    ALTER TABLE events_event RENAME TO events_event_before;
    ALTER SEQUENCE events_event_position_seq RENAME TO events_event_before_seq;
    CREATE SEQUENCE events_event_position_seq AS bigint;
    SELECT setval('events_event_position_seq', last_value, is_called) FROM events_event_before_seq;
    CREATE TABLE events_event (
        position bigint NOT NULL DEFAULT nextval('events_event_position_seq'::regclass),
        id uuid NOT NULL,
        transaction xid8 NOT NULL DEFAULT pg_current_xact_id(),
        type varchar(64) NOT NULL,
        object_type varchar(32) NOT NULL,
        object_id uuid NOT NULL,
        data jsonb NOT NULL,
        actor_kind varchar(16) NOT NULL,
        actor_id uuid,
        actor_label varchar(254) NOT NULL,
        request_id varchar(128) NOT NULL,
        ip inet,
        occurred_at timestamptz NOT NULL
    ) PARTITION BY RANGE (id);
    ALTER SEQUENCE events_event_position_seq OWNED BY events_event.position;
"""
# When the first and the last event was made; ids of no month since 2020 stay in DEFAULT.
_SPAN = """
    SELECT to_timestamp(('x' || left(replace(min(id::text), '-', ''), 12))::bit(48)::bigint / 1000),
           to_timestamp(('x' || left(replace(max(id::text), '-', ''), 12))::bit(48)::bigint / 1000)
    FROM events_event_before WHERE id >= %s AND id < %s
"""
_MOVE = """
    INSERT INTO events_event SELECT * FROM events_event_before;
    DROP TABLE events_event_before;
    ALTER TABLE events_event ADD CONSTRAINT events_event_pkey PRIMARY KEY (id);
    CREATE INDEX event_reading_order ON events_event (transaction, position);
    CREATE INDEX event_of_object ON events_event (object_id, id);
    CREATE INDEX event_of_request ON events_event (request_id);
    CREATE INDEX event_of_actor ON events_event (actor_id, id) WHERE actor_id IS NOT NULL;
    CREATE INDEX event_of_label ON events_event (upper(actor_label), id);
    CREATE TRIGGER events_event_append_only BEFORE UPDATE OR DELETE ON events_event
        FOR EACH ROW EXECUTE FUNCTION oms_refuse_change();
    CREATE TRIGGER events_event_no_truncate BEFORE TRUNCATE ON events_event
        FOR EACH STATEMENT EXECUTE FUNCTION oms_refuse_change();

    ALTER TABLE events_parkedevent ADD CONSTRAINT events_parkedevent_event_id_fk_events_event
        FOREIGN KEY (event_id) REFERENCES events_event (id) DEFERRABLE INITIALLY DEFERRED;
    ALTER TABLE events_parkedevent ADD CONSTRAINT parked_event_once UNIQUE (consumer, event_id);
    CREATE INDEX events_parkedevent_event_id ON events_parkedevent (event_id);
"""


def partition_by_month(apps, schema_editor):
    now = clock.now()
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(_ASIDE)
        end = months_later(month_of(now), 1)
        cursor.execute(_SPAN, [first_id_of(date(2020, 1, 1)), first_id_of(end)])
        first, last = cursor.fetchone()
        make_default_partition()
        make_partitions(first=first or now, last=last or now)
        make_partitions(first=now, last=months_later(month_of(now), MONTHS_AHEAD))
        cursor.execute(_MOVE)
        cursor.execute("ANALYZE events_event")


class Migration(migrations.Migration):
    dependencies = [("events", "0002_audit_indexes")]

    operations = [
        migrations.CreateModel(
            name="ArchivedMonth",
            fields=[
                ("month", models.DateField(primary_key=True, serialize=False)),
                ("file", models.CharField(max_length=255)),
                ("rows", models.BigIntegerField()),
                ("sha256", models.CharField(max_length=64)),
                ("archived_at", models.DateTimeField(db_default=Now())),
            ],
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunPython(partition_by_month)],
            state_operations=[
                migrations.RemoveIndex(model_name="event", name="event_of_object"),
                migrations.RemoveIndex(model_name="event", name="event_of_request"),
                migrations.AlterField(
                    model_name="event",
                    name="id",
                    field=models.UUIDField(
                        default=oms.core.ids.new_id,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                migrations.AlterField(
                    model_name="event",
                    name="position",
                    field=models.BigIntegerField(
                        db_default=models.Func(
                            template="nextval('events_event_position_seq'::regclass)"
                        ),
                        editable=False,
                    ),
                ),
                migrations.AddIndex(
                    model_name="event",
                    index=models.Index(fields=["object_id", "id"], name="event_of_object"),
                ),
                migrations.AddIndex(
                    model_name="event",
                    index=models.Index(fields=["request_id"], name="event_of_request"),
                ),
            ],
        ),
    ]
