"""Waiting for the event log in tests."""

from __future__ import annotations

import time

from django.db import connection

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
