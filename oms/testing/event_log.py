"""The event log in tests: waiting for it, and losing it."""

from __future__ import annotations

import time

from django.db import connection, transaction

_SECONDS = 60.0


def wait_until_readable() -> None:
    """Return once consumers can read every event that is committed now.

    PostgreSQL numbers transactions over all databases of a server, so one that another worker of
    the tests has open holds back what was committed after it began. Call it outside a transaction.
    """
    deadline = time.monotonic() + _SECONDS
    with connection.cursor() as cursor:
        while time.monotonic() < deadline:
            cursor.execute(
                "SELECT NOT EXISTS (SELECT FROM events_event"
                " WHERE transaction >= pg_snapshot_xmin(pg_current_snapshot()))"
            )
            if cursor.fetchone()[0]:
                return
            time.sleep(0.005)
    raise AssertionError("A transaction before the last event does not end.")


def lose_events() -> None:
    """Empty the log, as a restored backup may lack what clients have read; never in the shop."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")  # past the guard
        cursor.execute("DELETE FROM events_event")
