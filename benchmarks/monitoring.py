"""Memory of processes, sizes of tables, and what the workers have still to process."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import psutil
from psycopg.rows import class_row

from benchmarks.servers import BenchError, Connection

_MEGABYTE = 1_000_000
# The workers catch up after a load within so many seconds, or something is wrong.
_MAX_BACKLOG_SECONDS = 300.0

# Partitions count as the table that they are parts of.
_TABLES = """
    SELECT coalesce(pg_partition_root(relid), relid)::regclass::text AS name,
           sum(pg_total_relation_size(relid))::bigint AS size,
           sum(n_dead_tup)::bigint AS dead, sum(n_tup_ins)::bigint AS inserted,
           sum(n_tup_upd)::bigint AS updated, sum(n_tup_hot_upd)::bigint AS updated_hot
    FROM pg_stat_user_tables GROUP BY 1
"""
_PAYMENTS = "payments_payment WHERE status NOT IN ('captured', 'failed')"
_MAILS = "notifications_notification WHERE state IN ('queued', 'sending')"
# Those that the consumer furthest behind has not read.
_EVENTS = """
    SELECT coalesce(max(number), 0) FROM events_consumeroffset AS reached CROSS JOIN LATERAL (
        SELECT count(*) AS number FROM events_event
        WHERE (transaction, position) > (reached.transaction, reached.position)
    ) AS unread
"""
_WEBHOOKS = "SELECT count(*) FROM webhooks WHERE next_attempt_at IS NOT NULL"


@dataclass(frozen=True, kw_only=True)
class TableState:
    """A table with its partitions: bytes with indexes, and PostgreSQL's counters of rows."""

    name: str
    size: int
    dead: int
    inserted: int
    updated: int
    updated_hot: int


@dataclass(frozen=True, kw_only=True)
class Backlog:
    """Numbers of unprocessed items."""

    payments: int
    events: int
    mails: int
    webhooks: int

    def __bool__(self) -> bool:
        return any((self.payments, self.events, self.mails, self.webhooks))

    def __str__(self) -> str:
        return (
            f"unprocessed: {self.payments:,} payments, {self.events:,} events, "
            f"{self.mails:,} mails, {self.webhooks:,} webhooks"
        )


def memory_of(trees: Mapping[str, int]) -> dict[str, float]:
    """The resident memory of each process of the trees in MB (10^6 bytes).

    They are named as "web", "web 1", "web 2" by age.
    """
    found = {}
    for name, pid in trees.items():
        root = psutil.Process(pid)
        family = sorted(root.children(recursive=True), key=lambda one: (one.create_time(), one.pid))
        for number, process in enumerate([root, *family]):
            with contextlib.suppress(psutil.NoSuchProcess):  # it has just ended
                size = process.memory_info().rss / _MEGABYTE
                found[f"{name} {number}" if number else name] = size
    return found


def tables_of(connection: Connection) -> dict[str, TableState]:
    """Every table of the database by name."""
    with connection.cursor(row_factory=class_row(TableState)) as cursor:
        return {table.name: table for table in cursor.execute(_TABLES)}


def count_rows(connection: Connection, table: str) -> int:
    """How many rows a table, with an optional WHERE clause, has."""
    return _number(connection, f"SELECT count(*) FROM {table}")  # noqa: S608  # ours


def read_backlog(connection: Connection, *, ledger: Path) -> Backlog:
    """What the workers and the provider, whose database is the file `ledger`, have still to do."""
    with closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)) as provider:
        webhooks = int(provider.execute(_WEBHOOKS).fetchone()[0])
    return Backlog(
        payments=count_rows(connection, _PAYMENTS),
        mails=count_rows(connection, _MAILS),
        events=_number(connection, _EVENTS),
        webhooks=webhooks,
    )


def wait_for_empty_backlog(connection: Connection, *, ledger: Path) -> float:
    """The seconds until nothing is left to process. Raises BenchError if they are too many."""
    began = time.monotonic()
    while left := read_backlog(connection, ledger=ledger):
        if time.monotonic() - began > _MAX_BACKLOG_SECONDS:
            raise BenchError(f"After {_MAX_BACKLOG_SECONDS:.0f} seconds {left}.")
        time.sleep(0.25)
    return time.monotonic() - began


def _number(connection: Connection, query: str) -> int:
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return int(row[0])
