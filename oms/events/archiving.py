"""Moving old months of the event log out of the database into files.

The oldest month goes first: so everything before the end of the newest archived month is archived.
A month leaves the database only when its file is on the disk and was read back, and nothing was
added to the table since it was copied. Whenever the process is killed, the month is in the table,
or in the file, or in both, and the next run starts again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from uuid import UUID

import structlog
from django.db import connection
from django.db import transaction as django_transaction

from oms.core.errors import Conflict
from oms.core.ids import first_id_at
from oms.db.transactions import DatabaseBusy, busy_on_lock_timeout, durable, transaction
from oms.events.archive import ArchiveDamaged, Manifest, read_manifest, verify_file, write_month
from oms.events.models import ArchivedMonth, DeadLetter
from oms.events.partitions import (
    LOG,
    first_id_of,
    lock_maintenance,
    month_of,
    months_later,
    partition_of,
    partitioned_months,
    start_of,
)

log = structlog.get_logger(__name__)

_LINES = """
    COPY (SELECT to_json(event) FROM {partition} AS event ORDER BY transaction, position) TO STDOUT
"""
# How often dropping a month is tried while the log is being read, and the seconds between.
_TRIES, _PAUSE = 30, 1.0
# The consumers that have not read the month's last event yet.
_BEHIND = """
    SELECT name
    FROM unnest(%s::text[]) AS name
    LEFT JOIN events_consumeroffset AS reached ON reached.consumer = name
    WHERE EXISTS (
        SELECT FROM {partition}
        WHERE (transaction, position) >
              (coalesce(reached.transaction, '0'::xid8), coalesce(reached.position, 0)))
    ORDER BY name
"""


class MonthInUse(Conflict):
    """This month of the event log cannot be archived now."""

    code = "month_in_use"


def archivable_months(*, now: datetime, retention_months: int) -> list[date]:
    """The months in the table that are older than `retention_months` full ones, oldest first.

    None without a retention: the log is then kept whole.
    """
    if not retention_months:
        return []
    kept = months_later(month_of(now), -retention_months)
    return [month for month in partitioned_months() if month < kept]


@durable
def archive_month(*, month: date, folder: Path, consumers: Sequence[str]) -> Manifest:
    """Write `month` to the archive in `folder`, and drop it from the database.

    After an interruption it starts again. Raises MonthInUse with the reason while an older month is
    in the table, one of `consumers` has not read it all, or one of its events has failed and is not
    settled; ArchiveDamaged if the file cannot be read back, or there is one of other events.
    """
    _require_archivable(month, consumers)
    with _lines_of(month) as lines:
        manifest = write_month(folder, month=month, lines=lines)
    verify_file(folder, manifest=manifest)
    _drop_when_possible(lambda: _drop(month, folder, manifest, consumers))
    log.info("event_log_month_archived", month=manifest.month, rows=manifest.rows)
    return manifest


def verify_month(archived: ArchivedMonth, *, folder: Path) -> None:
    """Read the month's file; ArchiveDamaged if it is not the one that was archived."""
    manifest = read_manifest(folder, month=archived.month)
    if manifest is None or (manifest.rows, manifest.sha256) != (archived.rows, archived.sha256):
        raise ArchiveDamaged(f"The archive of {archived} in {folder} is not the one that was made.")
    verify_file(folder, manifest=manifest)


def _require_archivable(month: date, consumers: Sequence[str]) -> None:
    months = partitioned_months()
    if month not in months:
        raise MonthInUse(f"{month:%Y-%m} is not in the database.")
    if month != months[0]:
        raise MonthInUse(f"{months[0]:%Y-%m} must be archived first.")
    if ArchivedMonth.objects.filter(month__gte=month).exists():
        raise MonthInUse(f"{month:%Y-%m}, or a later month, is in the archive already.")
    with connection.cursor() as cursor:
        cursor.execute(_BEHIND.format(partition=partition_of(month)), [list(consumers)])
        behind = [name for (name,) in cursor.fetchall()]
    if behind:
        raise MonthInUse(f"Not all of {month:%Y-%m} was read by {', '.join(behind)}.")
    if DeadLetter.objects.filter(event_id__lt=first_id_of(months_later(month, 1))).exists():
        raise MonthInUse(f"There are failed events of {month:%Y-%m}.")


@contextmanager
def _lines_of(month: date) -> Iterator[Iterator[bytes]]:
    """The events of the table, each as one line of JSON, in the order of the file.

    A caller that does not read them all must leave by an exception: that ends the COPY. Two
    processes cannot read a month at once, so only one of them writes its files.
    """
    partition = partition_of(month)
    with busy_on_lock_timeout(), django_transaction.atomic(), connection.cursor() as settings:
        settings.execute("SET LOCAL statement_timeout = 0")
        # A disk may be slow.
        settings.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        settings.execute(f"LOCK TABLE {partition} IN SHARE UPDATE EXCLUSIVE MODE")
        statement = _LINES.format(partition=partition)
        with connection.connection.cursor() as cursor, cursor.copy(statement) as copy:
            yield (line.encode() for (line,) in copy.rows())


def _drop_when_possible(drop: Callable[[], None]) -> None:
    """Drop a month as soon as no long statement reads the log."""
    for _ in range(_TRIES - 1):
        try:
            return drop()
        except DatabaseBusy:
            time.sleep(_PAUSE)
    return drop()


@transaction
def _drop(month: date, folder: Path, manifest: Manifest, consumers: Sequence[str]) -> None:
    lock_maintenance()
    partition = partition_of(month)
    with connection.cursor() as cursor:
        # Counting may take long, and blocks nothing.
        cursor.execute("SET LOCAL statement_timeout = 0")
        # From here on the month and its files cannot change; readers are not blocked.
        cursor.execute(f"LOCK TABLE {partition} IN SHARE MODE")
        _require_archivable(month, consumers)
        cursor.execute(f"SELECT count(*) FROM {partition}")  # noqa: S608
        if cursor.fetchone()[0] != manifest.rows:
            raise MonthInUse(f"{month:%Y-%m} was added to while it was archived.")
        if read_manifest(folder, month=month) != manifest:
            raise MonthInUse(f"The files of {month:%Y-%m} were changed while it was archived.")
        ArchivedMonth.objects.create(
            month=month, file=manifest.file, rows=manifest.rows, sha256=manifest.sha256
        )
        cursor.execute(f"ALTER TABLE {LOG} DETACH PARTITION {partition}")
        cursor.execute(f"DROP TABLE {partition}")


def archived_until() -> datetime | None:
    """The time up to which the log is archived; None if all of it is in the table."""
    newest = ArchivedMonth.objects.order_by("-month").values_list("month", flat=True).first()
    return start_of(months_later(newest, 1)) if newest else None


def first_unarchived_id() -> UUID:
    """The least UUIDv7 of the time from which on the log is in the database."""
    archived = archived_until()
    return UUID(int=0) if archived is None else first_id_at(archived)
