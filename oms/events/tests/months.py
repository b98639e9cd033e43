"""Events of past months, for tests of partitions and of the archive."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection

from oms.core.db import insert_rows
from oms.core.ids import first_id_at, new_id
from oms.events.models import Event

_COLUMNS = (
    *("id", "type", "object_type", "object_id", "data", "actor_kind", "actor_id", "actor_label"),
    *("request_id", "ip", "occurred_at"),
)


def tell_at(moment: datetime, *, number: int = 1, request_id: str = "") -> list[UUID]:
    """Append `number` events, a millisecond apart from `moment` on; returns their ids.

    Their data have whatever JSON makes difficult.
    """
    moments = [moment + timedelta(milliseconds=n) for n in range(number)]
    ids = [first_id_at(at) for at in moments]
    insert_rows(
        Event,
        _COLUMNS,
        [
            (
                *(id, "user.changed", "user", new_id()),
                {"changes": {"name": ['\\ " \n \t ü \u2028', None], "n": [1.50, 10**18]}},
                *("staff", new_id() if n % 2 else None, "sam\\@example.com", request_id),
                *("2001:db8::1" if n % 3 else None, at),
            )
            for n, (id, at) in enumerate(zip(ids, moments, strict=True))
        ],
    )
    return ids


def digest_of_log() -> str:
    """A digest of every column of every event in the table."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT event::text FROM events_event AS event ORDER BY position")
        return hashlib.sha256(repr(cursor.fetchall()).encode()).hexdigest()


def table_of(id: UUID) -> str:
    """The name of the partition in which the event stands."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT tableoid::regclass::text FROM events_event WHERE id = %s", [id])
        return str(cursor.fetchone()[0])
