"""A log of a running shop becomes a table of months, and nothing of it changes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from oms.testing.migrating import empty_database, migrate

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

# Forty months of events, one of which has an id of no time at all.
_EVENTS = """
    INSERT INTO events_event (id, type, object_type, object_id, data, actor_kind, actor_id,
                              actor_label, request_id, ip, occurred_at)
    SELECT CASE n WHEN 7 THEN 'ffffffff-0000-4000-8000-000000000007'::uuid ELSE
               (lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint - n * 1209600000::bigint),
                     12, '0') || '70008000' || lpad(to_hex(n), 12, '0'))::uuid END,
           'order.placed', 'order', gen_random_uuid(), jsonb_build_object('n', n), 'customer',
           gen_random_uuid(), 'a@example.com', 'r', '127.0.0.1', now()
    FROM generate_series(1, 87) AS n
"""
_PARKED = """
    INSERT INTO events_parkedevent (consumer, event_id, attempts, last_error, created_at)
    SELECT 'orders', position, 8, 'x', now() FROM events_event WHERE position IN (3, 7)
"""
# A statement that takes longer than any of the shop may, as it does with a large log.
_SLOW = """
    CREATE FUNCTION slow() RETURNS event_trigger LANGUAGE plpgsql AS
        'BEGIN PERFORM pg_sleep(1); END';
    CREATE EVENT TRIGGER slow ON ddl_command_end WHEN TAG IN ('CREATE SEQUENCE')
        EXECUTE FUNCTION slow();
"""
_CONTENT = """
    SELECT id, position, transaction::text, type, object_id, data, actor_id, actor_label,
           request_id, ip, occurred_at
    FROM events_event ORDER BY position
"""


@pytest.fixture
def another_database() -> Iterator[tuple[str, Any]]:
    """The URL of an empty database, and a connection to it."""
    with empty_database() as database:
        yield database


def test_a_log_is_moved_into_months_as_it_is(another_database: tuple[str, Any]) -> None:
    url, database = another_database
    migrate(url, "events", "0002")
    database.execute(_EVENTS)
    database.execute(_PARKED)
    before = database.execute(_CONTENT).fetchall()

    database.execute(_SLOW)

    migrate(url, "events", DB_STATEMENT_TIMEOUT_MS="500")

    assert database.execute(_CONTENT).fetchall() == before
    failed = database.execute("SELECT event_id FROM events_parkedevent ORDER BY id").fetchall()
    assert failed == [(before[2][0],), (before[6][0],)]
    in_default = database.execute("SELECT position FROM events_event_default").fetchall()
    assert in_default == [(7,)]
    [(partitions,)] = database.execute(
        "SELECT count(*) FROM pg_inherits WHERE inhparent = 'events_event'::regclass"
    )
    assert partitions >= 40 + 2 + 1
    [(position,)] = database.execute("SELECT nextval('events_event_position_seq')")
    assert position == 88


def test_permissions_survive_the_new_name_of_dead_letters(
    another_database: tuple[str, Any],
) -> None:
    url, database = another_database
    migrate(url, "events", "0004")
    migrate(url, "auth")
    database.execute("INSERT INTO auth_group (name) VALUES ('operators')")
    database.execute(
        "INSERT INTO auth_group_permissions (group_id, permission_id)"
        " SELECT auth_group.id, auth_permission.id FROM auth_group, auth_permission"
        " WHERE codename IN ('view_parkedevent', 'change_parkedevent')"
    )

    migrate(url, "events")

    held = database.execute(
        "SELECT codename, auth_permission.name FROM auth_group_permissions"
        " JOIN auth_permission ON auth_permission.id = permission_id ORDER BY codename"
    )
    assert held.fetchall() == [
        ("change_deadletter", "Can change failed event"),
        ("view_deadletter", "Can view failed event"),
    ]
