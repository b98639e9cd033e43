"""How many SQL statements PostgreSQL ran, by pg_stat_statements.

Tracking slows PostgreSQL a little, so it is on for a short extra run only. BEGIN and COMMIT count,
because they are round trips; the foreign key checks that PostgreSQL runs itself do not.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.servers import Connection, Servers

# Until every backend has reloaded the settings.
_RELOAD_SECONDS = 0.3
_COUNT = """
    SELECT coalesce(sum(calls), 0)::bigint
    FROM pg_stat_statements JOIN pg_database ON pg_database.oid = dbid
    WHERE datname = %s AND query NOT LIKE 'SELECT 1 FROM ONLY%%'
"""


@contextmanager
def tracked_statements(servers: Servers) -> Iterator[Connection]:
    """Track statements while the block runs; yields a connection that can count them."""
    with servers.connect() as connection:
        connection.execute("ALTER SYSTEM SET pg_stat_statements.track = top")
        connection.execute("SELECT pg_reload_conf()")
        time.sleep(_RELOAD_SECONDS)
        connection.execute("SELECT pg_stat_statements_reset()")
        try:
            yield connection
        finally:
            connection.execute("ALTER SYSTEM SET pg_stat_statements.track = none")
            connection.execute("SELECT pg_reload_conf()")


def count_statements(connection: Connection, database: str) -> int:
    """The statements that clients have sent to `database` since the tracking began."""
    row = connection.execute(_COUNT, [database]).fetchone()
    assert row is not None
    return int(row[0])
