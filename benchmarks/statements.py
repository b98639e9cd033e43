"""How many SQL statements PostgreSQL ran, by pg_stat_statements.

Counting costs PostgreSQL a little, so it is on for a short extra run only, and never while a rate
is measured. BEGIN and COMMIT count as what they are: round trips.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks.machine import Servers

# Until every backend has heard of a changed setting.
_RELOAD_SECONDS = 0.3


@dataclass(kw_only=True)
class Count:
    """How many statements were run in a database, once the counting is over."""

    statements: int = 0


@contextmanager
def counted(servers: Servers, database: str) -> Iterator[Count]:
    """Count the statements in `database` while the block runs."""
    count = Count()
    with servers.connect() as connection:
        connection.execute("ALTER SYSTEM SET pg_stat_statements.track = top")
        connection.execute("SELECT pg_reload_conf()")
        time.sleep(_RELOAD_SECONDS)
        connection.execute("SELECT pg_stat_statements_reset()")
        try:
            yield count
        finally:
            row = connection.execute(
                "SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements AS counted"
                " JOIN pg_database ON pg_database.oid = counted.dbid WHERE datname = %s",
                [database],
            ).fetchone()
            connection.execute("ALTER SYSTEM SET pg_stat_statements.track = none")
            connection.execute("SELECT pg_reload_conf()")
    assert row is not None
    count.statements = int(str(row[0]))
