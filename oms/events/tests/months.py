"""Events of past months, for tests of partitions and of the archive."""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID

from django.db import connection

from oms.core import clock
from oms.core.ids import first_id_at, new_id
from oms.db.bulk_writes import insert_rows
from oms.events.archive import Manifest
from oms.events.archiving import archive_month
from oms.events.models import ConsumerOffset, Event
from oms.events.partitions import first_id_of, months_later

JANUARY, FEBRUARY = date(2025, 1, 1), date(2025, 2, 1)

_COLUMNS = (
    *("id", "type", "object_type", "object_id", "data", "actor_kind", "actor_id", "actor_label"),
    *("request_id", "ip", "occurred_at"),
)


def append_events(moment: datetime, *, number: int = 1, request_id: str = "") -> list[UUID]:
    """Append `number` events, a millisecond apart from `moment` on; returns their ids.

    Their data have values that are difficult in JSON.
    """
    times = [moment + timedelta(milliseconds=n) for n in range(number)]
    ids = [first_id_at(at) for at in times]
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
            for n, (id, at) in enumerate(zip(ids, times, strict=True))
        ],
    )
    return ids


def append_past_events() -> str:
    """Fill the log in January, February and now, let "tests" have read it; returns its digest."""
    for moment in (datetime(2025, 1, 9, tzinfo=UTC), datetime(2025, 2, 9, tzinfo=UTC), clock.now()):
        append_events(moment, number=7)
    last = Event.objects.latest("position")
    ConsumerOffset.objects.create(
        consumer="tests", transaction=last.transaction, position=last.position
    )
    return digest_of_log()


def archive(month: date, folder: Path) -> Manifest:
    """Archive `month`, which only "tests" must have read."""
    return archive_month(month=month, folder=folder, consumers=["tests"])


def digest_of_log() -> str:
    """A digest of every column of every event in the table."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT event::text FROM events_event AS event ORDER BY position")
        return hashlib.sha256(repr(cursor.fetchall()).encode()).hexdigest()


def lines_of_log(month: date) -> list[bytes]:
    """The events of `month` in the table, as the archive must hold them."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT to_json(event)::text FROM events_event AS event WHERE id >= %s AND id < %s"
            " ORDER BY transaction, position",
            [first_id_of(month), first_id_of(months_later(month, 1))],
        )
        return [line.encode() for (line,) in cursor.fetchall()]


def table_of(id: UUID) -> str:
    """The name of the partition in which the event stands."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT tableoid::regclass::text FROM events_event WHERE id = %s", [id])
        return str(cursor.fetchone()[0])
