"""The months of the event log: each a partition of its table, by the time in the ids of its events.

An event goes into the month of its id, a UUIDv7. Events without a partition ("strays") go into the
one called DEFAULT, so an insert never fails because a month is missing; `gather_strays` moves them
to where they belong. See docs/decisions/0011-growing-tables.md.
"""

from __future__ import annotations

from datetime import UTC, date, datetime

import structlog
from django.db import connection

from oms.core.errors import Conflict
from oms.core.ids import first_id_at
from oms.db.transactions import transaction, transaction_required
from oms.events.models import ArchivedMonth

log = structlog.get_logger(__name__)

LOG = "events_event"
DEFAULT = f"{LOG}_default"
MONTHS_AHEAD = 2
# No shop's log is older; what seems to be has an id that is no UUIDv7.
_FIRST_MONTH = date(2020, 1, 1)
# Strays are counted up to so many.
MOST_COUNTED = 1_000_000
# The key of the advisory lock under which partitions are made, moved and archived: one at a time.
_MAINTENANCE_LOCK = 0x6F6D735F6C6F67

_PARTITIONS = """
    SELECT child.relname
    FROM pg_inherits
    JOIN pg_class AS child ON child.oid = pg_inherits.inhrelid
    WHERE pg_inherits.inhparent = %s::regclass
"""
# Attached and not created as a partition: that would lock out everybody who reads or writes the
# log. This locks the empty table alone, and DEFAULT for as long as it takes to find nothing in it.
_CREATE = """
    CREATE TABLE {table} (LIKE {log} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES);
    CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table}
        FOR EACH STATEMENT EXECUTE FUNCTION oms_refuse_change();
    ALTER TABLE {log} ATTACH PARTITION {table} {bounds};
"""
# The months of DEFAULT's rows, out of the 48 bits of a UUIDv7 that count milliseconds.
_STRAY_MONTHS = """
    SELECT DISTINCT date_trunc('month', to_timestamp(
        ('x' || left(replace(id::text, '-', ''), 12))::bit(48)::bigint / 1000) AT TIME ZONE 'UTC'
    )::date
    FROM {default}
    WHERE id >= %s AND id < %s
"""
_HAS_FAILED_STRAYS = """
    SELECT EXISTS (SELECT FROM events_parkedevent JOIN {default} AS stray ON stray.id = event_id)
"""
_SET_ASIDE = """
    ALTER TABLE {log} DETACH PARTITION {default};
    ALTER TABLE {default} RENAME TO {log}_strays;
"""
_PUT_BACK = """
    INSERT INTO {log} SELECT * FROM {log}_strays;
    DROP TABLE {log}_strays;
"""


class FailedEventInDefault(Conflict):
    """An event without a month has failed; settle it before such events are moved."""

    code = "strays_parked"


def month_of(moment: datetime | date) -> date:
    """The first day of the month of `moment`, in UTC."""
    if isinstance(moment, datetime):
        moment = moment.astimezone(UTC).date()
    return moment.replace(day=1)


def months_later(month: date, number: int) -> date:
    """The first day of the month that comes `number` months after `month`, or before it."""
    years, index = divmod(month.month - 1 + number, 12)
    return date(month.year + years, index + 1, 1)


def start_of(month: date) -> datetime:
    """The moment at which `month` begins."""
    return datetime(month.year, month.month, 1, tzinfo=UTC)


def first_id_of(month: date) -> str:
    """The least id that an event of `month` can have."""
    return str(first_id_at(start_of(month)))


def partition_of(month: date) -> str:
    """The name of the table that holds the events of `month`."""
    return f"{LOG}_{month:%Y_%m}"


def partitioned_months() -> list[date]:
    """The months that have a partition, oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(_PARTITIONS, [LOG])
        names = [name for (name,) in cursor.fetchall() if name != DEFAULT]
    return sorted(datetime.strptime(name, f"{LOG}_%Y_%m").date() for name in names)  # noqa: DTZ007


def newest_archived_month() -> date | None:
    """The newest month of the archive; None if nothing is archived."""
    return ArchivedMonth.objects.order_by("-month").values_list("month", flat=True).first()


def maintain_partitions(*, now: datetime) -> list[date]:
    """Make the partitions of this month and the next ones; returns the months made.

    Raises DatabaseBusy if the lock on the log's definition is not to be had.
    """
    made = make_partitions(first=now, last=months_later(month_of(now), MONTHS_AHEAD))
    if strays := count_strays(now=now):
        log.warning("event_log_has_strays", events=strays)
    if made:
        # Nothing else counts the table as a whole: autovacuum looks at partitions alone.
        with connection.cursor() as cursor:
            cursor.execute(f"ANALYZE {LOG}")
    return made


def make_partitions(*, first: datetime | date, last: datetime | date) -> list[date]:
    """Make the missing partitions from the month of `first` to that of `last`; returns those made.

    Each is a transaction of its own. A month of which DEFAULT holds events is left out.
    """
    made = []
    month = month_of(first)
    while month <= month_of(last):
        if make_partition(month=month):
            made.append(month)
        month = months_later(month, 1)
    return made


@transaction
def make_partition(*, month: date) -> bool:
    """Make the partition of `month`; returns whether it did.

    Not if it is there, or DEFAULT holds events of that month: those must be gathered.
    """
    lock_maintenance()
    bounds = first_id_of(month), first_id_of(months_later(month, 1))
    if month in partitioned_months() or _count_strays(bounds, most=1):
        return False
    _create_partition(partition_of(month), "FOR VALUES FROM ('{}') TO ('{}')".format(*bounds))
    log.info("event_log_month_made", month=f"{month:%Y-%m}")
    return True


@transaction_required
def make_default_partition() -> None:
    """Make DEFAULT, which takes the events of months that have no partition."""
    _create_partition(DEFAULT, "DEFAULT")


def _create_partition(table: str, bounds: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_CREATE.format(table=table, log=LOG, bounds=bounds))


@transaction_required
def lock_maintenance() -> None:
    """Keep others from making, moving or archiving partitions until this transaction ends.

    It waits for other locks only shortly: whoever wants to use the log would wait behind it.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_MAINTENANCE_LOCK])
        cursor.execute("SET LOCAL lock_timeout = '250ms'")


def count_strays(*, now: datetime) -> int:
    """How many events of DEFAULT could be gathered into months, counted up to MOST_COUNTED."""
    return _count_strays(_gathered_ids(now), most=MOST_COUNTED)


def _count_strays(bounds: tuple[str, str], *, most: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM"  # noqa: S608
            f" (SELECT FROM {DEFAULT} WHERE id >= %s AND id < %s LIMIT %s) AS stray",
            [*bounds, most],
        )
        return int(cursor.fetchone()[0])


@transaction
def gather_strays(*, now: datetime) -> list[date]:
    """Move the events of DEFAULT into partitions of their months; returns the months made.

    Nobody reads or writes the log meanwhile: about a second for 30,000 events. Ids of no month
    from 2020, or from the end of the archive, to a year from now stay in DEFAULT; if there are no
    others, nothing is done. Raises DatabaseBusy and FailedEventInDefault.
    """
    lock_maintenance()
    if not _stray_months(now):
        return []
    with connection.cursor() as cursor:
        # The foreign key refuses it too, but only when everybody waits already.
        cursor.execute(_HAS_FAILED_STRAYS.format(default=DEFAULT))
        if cursor.fetchone()[0]:
            raise FailedEventInDefault
        cursor.execute(f"LOCK TABLE {LOG} IN ACCESS EXCLUSIVE MODE")
        cursor.execute("SET LOCAL statement_timeout = 0")
        missing = _stray_months(now)
        cursor.execute(_SET_ASIDE.format(log=LOG, default=DEFAULT))
        make_default_partition()
        for month in missing:
            make_partition(month=month)
        cursor.execute(_PUT_BACK.format(log=LOG))
    log.info("event_log_strays_gathered", months=[f"{month:%Y-%m}" for month in missing])
    return missing


def _stray_months(now: datetime) -> list[date]:
    """The months of DEFAULT's events, oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(_STRAY_MONTHS.format(default=DEFAULT), list(_gathered_ids(now)))
        return sorted(month for (month,) in cursor.fetchall())


def _gathered_ids(now: datetime) -> tuple[str, str]:
    """The least id that is gathered, and the least one after it that is not."""
    newest = newest_archived_month()
    first = months_later(newest, 1) if newest else _FIRST_MONTH
    return first_id_of(first), first_id_of(months_later(month_of(now), 13))
