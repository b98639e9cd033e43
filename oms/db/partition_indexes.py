"""Indexes of partitioned tables, made and removed while others write; for migrations."""

from __future__ import annotations

from typing import Any

PARTITIONS = """
    SELECT child.relname FROM pg_inherits
    JOIN pg_class AS child ON child.oid = pg_inherits.inhrelid
    WHERE pg_inherits.inhparent = %s::regclass
"""
_INVALID = "SELECT FROM pg_index WHERE indexrelid = to_regclass(%s) AND NOT indisvalid"


def add_partitioned_index(
    schema_editor: Any, *, table: str, name: str, suffix: str, definition: str
) -> None:
    """Index one partition after the other: an index of the whole table would lock all of it.

    The index of a partition is called by the partition's name and `suffix`. To be called outside
    of a transaction; an interrupted run can be repeated.
    """
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(f"CREATE INDEX IF NOT EXISTS {name} ON ONLY {table} {definition}")
        cursor.execute(PARTITIONS, [table])
        for (partition,) in cursor.fetchall():
            index = f"{partition}_{suffix}"
            cursor.execute(_INVALID, [index])
            if cursor.fetchone():
                cursor.execute(f"DROP INDEX CONCURRENTLY {index}")
            cursor.execute(
                f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {index} ON {partition} {definition}"
            )
            cursor.execute(f"ALTER INDEX {name} ATTACH PARTITION {index}")


def remove_partitioned_index(schema_editor: Any, *, name: str) -> None:
    """Remove the index of the table and of all partitions.

    PostgreSQL does that only with a lock of the table, for a moment; `manage.py migrate` waits a
    second for it, and tries again.
    """
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(f"DROP INDEX IF EXISTS {name}")
