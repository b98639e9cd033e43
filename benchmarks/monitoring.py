"""Memory of processes, sizes of tables, and what the workers have still to process."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg

from benchmarks.servers import BenchError, Connection

_MEGABYTE = 1_000_000
# The workers catch up after a load within so many seconds, or something is wrong.
_MAX_BACKLOG_SECONDS = 300.0

# Partitions count as the table that they are parts of.
_TABLES = """
    SELECT coalesce(pg_partition_root(relid), relid)::regclass::text,
           sum(pg_table_size(relid)), sum(pg_indexes_size(relid)), sum(n_live_tup),
           sum(n_dead_tup), sum(n_tup_ins), sum(n_tup_upd), sum(n_tup_hot_upd),
           sum(autovacuum_count)
    FROM pg_stat_user_tables GROUP BY 1
"""
_HAS_BLOAT = "SELECT FROM pg_available_extensions WHERE name = 'pgstattuple'"
_BLOAT = """
    SELECT dead_tuple_percent, approx_free_percent FROM pgstattuple_approx(%s::regclass)
"""
_PAYMENTS = "SELECT count(*) FROM payments_payment WHERE status NOT IN ('captured', 'failed')"
_MAILS = "SELECT count(*) FROM notifications_notification WHERE state IN ('queued', 'sending')"
# Of the consumer that is furthest behind: its unread events, and the age of the oldest.
_EVENTS = """
    SELECT coalesce(max(waiting.number), 0),
           coalesce(extract(epoch FROM now() - min(waiting.since)), 0)
    FROM events_consumeroffset AS reached
    CROSS JOIN LATERAL (
        SELECT count(*) AS number, min(occurred_at) AS since FROM events_event
        WHERE (transaction, position) > (reached.transaction, reached.position)
    ) AS waiting
"""
_WEBHOOKS = "SELECT count(*) FROM webhooks WHERE next_attempt_at IS NOT NULL"


@dataclass(frozen=True, kw_only=True)
class Memory:
    """What a process holds, in MB (10^6 bytes): all of it, and its share of what is shared."""

    rss: float
    pss: float


@dataclass(frozen=True, kw_only=True)
class TableState:
    """A table with its partitions: sizes in bytes, and PostgreSQL's counters of rows."""

    size: int
    indexes: int
    live: int
    dead: int
    inserted: int
    updated: int
    updated_hot: int
    autovacuums: int


@dataclass(frozen=True, kw_only=True)
class Backlog:
    """Numbers of unprocessed items; `events_lag` is the age of the oldest event in seconds."""

    payments: int
    mails: int
    events: int
    events_lag: float
    webhooks: int

    @property
    def is_empty(self) -> bool:
        return not (self.payments or self.mails or self.events or self.webhooks)


def memory_of(trees: Mapping[str, int]) -> dict[str, Memory]:
    """The memory of each process of the trees, named as "web", "web 1", "web 2" by age.

    Of PostgreSQL, whose processes share most of what they hold, it is that of all together.
    """
    found: dict[str, Memory] = {}
    for name, pid in trees.items():
        root = psutil.Process(pid)
        family = sorted(root.children(recursive=True), key=lambda one: (one.create_time(), one.pid))
        parts = [_memory(one) for one in [root, *family]]
        if name == "postgres":
            alive = [part for part in parts if part is not None]
            found[name] = Memory(
                rss=max((part.rss for part in alive), default=0),
                pss=sum(part.pss for part in alive),
            )
            continue
        for number, part in enumerate(parts):
            if part is not None:
                found[f"{name} {number}" if number else name] = part
    return found


def _memory(process: psutil.Process) -> Memory | None:
    with contextlib.suppress(psutil.NoSuchProcess):  # it has just ended
        info = process.memory_full_info()
        return Memory(rss=info.rss / _MEGABYTE, pss=info.pss / _MEGABYTE)
    return None


def tables_of(connection: Connection) -> dict[str, TableState]:
    """Every table of the database by name."""
    return {
        name: TableState(
            size=int(size),
            indexes=int(indexes),
            live=int(live),
            dead=int(dead),
            inserted=int(inserted),
            updated=int(updated),
            updated_hot=int(hot),
            autovacuums=int(vacuums),
        )
        for name, size, indexes, live, dead, inserted, updated, hot, vacuums in connection.execute(
            _TABLES
        )
    }


def bloat_of(connection: Connection, tables: Sequence[str]) -> dict[str, tuple[float, float]]:
    """The shares of each table that are dead rows and free space, in per cent of its size.

    Empty where PostgreSQL came without pgstattuple; partitioned tables are left out.
    """
    if connection.execute(_HAS_BLOAT).fetchone() is None:
        return {}
    connection.execute("CREATE EXTENSION IF NOT EXISTS pgstattuple")
    found = {}
    for table in tables:
        with contextlib.suppress(
            psycopg.errors.WrongObjectType, psycopg.errors.FeatureNotSupported
        ):
            row = connection.execute(_BLOAT, [table]).fetchone()
            if row is not None:
                found[table] = (float(row[0]), float(row[1]))
    return found


def read_backlog(connection: Connection, *, ledger: Path) -> Backlog:
    """What the workers and the provider, whose database is the file `ledger`, have still to do."""

    def first(statement: str) -> tuple[Any, ...]:
        row = connection.execute(statement.encode()).fetchone()
        assert row is not None
        return row

    events, lag = first(_EVENTS)
    with closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)) as provider:
        webhooks = int(provider.execute(_WEBHOOKS).fetchone()[0])
    return Backlog(
        payments=int(first(_PAYMENTS)[0]),
        mails=int(first(_MAILS)[0]),
        events=int(events),
        events_lag=float(lag),
        webhooks=webhooks,
    )


def wait_for_empty_backlog(connection: Connection, *, ledger: Path) -> float:
    """The seconds until nothing is left to process. Raises BenchError if they are too many."""
    began = time.monotonic()
    while not (left := read_backlog(connection, ledger=ledger)).is_empty:
        if time.monotonic() - began > _MAX_BACKLOG_SECONDS:
            raise BenchError(f"After {_MAX_BACKLOG_SECONDS:.0f} seconds still unprocessed: {left}.")
        time.sleep(0.25)
    return time.monotonic() - began
