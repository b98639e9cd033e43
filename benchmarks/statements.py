"""How many SQL statements PostgreSQL ran, by pg_stat_statements.

Tracking slows PostgreSQL a little, so it is on for a short extra run only. BEGIN and COMMIT count,
because they are round trips; the foreign key checks that PostgreSQL runs itself do not.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from benchmarks.servers import Servers

# Until every backend has reloaded the settings.
_RELOAD_SECONDS = 0.3
_FOREIGN_KEY = "SELECT 1 FROM ONLY"


@dataclass(kw_only=True)
class StatementCount:
    """How often each statement ran; empty until the counting has ended."""

    statements: dict[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """How many statements clients sent."""
        return sum(
            number for text, number in self.statements.items() if not text.startswith(_FOREIGN_KEY)
        )


@contextmanager
def count_statements(servers: Servers, database: str) -> Iterator[StatementCount]:
    """Count the statements in `database` while the block runs."""
    count = StatementCount()
    with servers.connect() as connection:
        connection.execute("ALTER SYSTEM SET pg_stat_statements.track = top")
        connection.execute("SELECT pg_reload_conf()")
        time.sleep(_RELOAD_SECONDS)
        connection.execute("SELECT pg_stat_statements_reset()")
        try:
            yield count
        finally:
            rows = connection.execute(
                "SELECT regexp_replace(query, '\\s+', ' ', 'g'), sum(calls)::bigint"
                " FROM pg_stat_statements AS counted"
                " JOIN pg_database ON pg_database.oid = counted.dbid WHERE datname = %s"
                " GROUP BY 1 ORDER BY 2 DESC",
                [database],
            ).fetchall()
            connection.execute("ALTER SYSTEM SET pg_stat_statements.track = none")
            connection.execute("SELECT pg_reload_conf()")
    count.statements = dict(rows)
