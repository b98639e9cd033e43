"""The months of the event log: each a partition of its table, by the time in the ids of its events.

An event goes into the month of its id, a UUIDv7. Events without a partition go into the one called
DEFAULT, so an insert never fails because a month is missing; they stay there.
See docs/decisions/0011-growing-tables.md.
"""

from __future__ import annotations

from datetime import UTC, date, datetime

import structlog
from django.db import connection

from oms.core.ids import first_id_at
from oms.db.partition_indexes import PARTITIONS
from oms.db.transactions import transaction, transaction_required

log = structlog.get_logger(__name__)

LOG = "events_event"
DEFAULT = f"{LOG}_default"
MONTHS_AHEAD = 2
# The key of the advisory lock that serialises creating and dropping partitions.
_MAINTENANCE_LOCK = 0x6F6D735F6C6F67

# Attached and not created as a partition: that would block all readers and writers of
# the log. This locks only the empty table, and DEFAULT while it is checked for rows of the month.
_CREATE = """
    CREATE TABLE {table} (LIKE {log} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES);
    CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table}
        FOR EACH STATEMENT EXECUTE FUNCTION oms_refuse_change();
    ALTER TABLE {log} ATTACH PARTITION {table} {bounds};
"""
_IS_IN_DEFAULT = "SELECT EXISTS (SELECT FROM {default} WHERE id >= %s AND id < %s)"


def month_of(moment: datetime | date) -> date:
    """The first day of the month of `moment`, in UTC."""
    if isinstance(moment, datetime):
        moment = moment.astimezone(UTC).date()
    return moment.replace(day=1)


def months_later(month: date, number: int) -> date:
    """The first day of the month `number` months after `month`, or before it if negative."""
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
        cursor.execute(PARTITIONS, [LOG])
        names = [name for (name,) in cursor.fetchall() if name != DEFAULT]
    return sorted(datetime.strptime(name, f"{LOG}_%Y_%m").date() for name in names)  # noqa: DTZ007


def maintain_partitions(*, now: datetime) -> list[date]:
    """Make the partitions of this month and the next ones; returns the months made.

    Raises DatabaseBusy if the lock on the log's definition is not available.
    """
    made = make_partitions(first=now, last=months_later(month_of(now), MONTHS_AHEAD))
    if made:
        # Autovacuum analyses only the partitions.
        with connection.cursor() as cursor:
            cursor.execute(f"ANALYZE {LOG}")
    return made


def make_partitions(*, first: datetime | date, last: datetime | date) -> list[date]:
    """Make the missing partitions from the month of `first` to that of `last`; returns those made.

    Each is a transaction of its own. Months with events in DEFAULT are skipped.
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

    Does nothing if it exists, or if DEFAULT has events of the month: the rest go there too.
    """
    lock_maintenance()
    if month in partitioned_months():
        return False
    bounds = first_id_of(month), first_id_of(months_later(month, 1))
    with connection.cursor() as cursor:
        cursor.execute(_IS_IN_DEFAULT.format(default=DEFAULT), bounds)
        if cursor.fetchone()[0]:
            log.warning("event_log_month_is_in_default", month=f"{month:%Y-%m}")
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
    """Keep others from making or dropping partitions until this transaction ends.

    It waits for locks only briefly, because everything that uses the log would queue behind it.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_MAINTENANCE_LOCK])
        cursor.execute("SET LOCAL lock_timeout = '250ms'")
