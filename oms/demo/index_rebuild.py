"""Filling large tables without their indexes and foreign keys, which are made again at the end.

An index made of all rows at once costs a fraction of one that grows row by row, and so does a
foreign key that is checked by one join. All of it belongs to the transaction of the caller.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from django.db import connection, models

# Primary keys stay, for foreign keys of other tables need them. So do the indexes of partitions,
# which come and go with those of their tables.
_CONSTRAINTS = """
    SELECT conrelid::regclass::text, quote_ident(conname), pg_get_constraintdef(oid)
    FROM pg_constraint AS made
    WHERE conrelid = ANY(%s::regclass[]) AND contype IN ('u', 'f') AND conparentid = 0
      AND NOT EXISTS (SELECT FROM pg_constraint AS other
                      WHERE other.contype = 'f' AND other.conindid = made.conindid
                        AND made.contype = 'u')
    ORDER BY contype = 'f', oid
"""
_INDEXES = """
    SELECT indexrelid::regclass::text, replace(pg_get_indexdef(indexrelid), ' ON ONLY ', ' ON ')
    FROM pg_index
    WHERE indrelid = ANY(%s::regclass[]) AND NOT indisprimary
      AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
    ORDER BY indexrelid
"""


@dataclass(frozen=True, kw_only=True)
class _Put:
    """How to take something away, and how to put it back."""

    away: str
    back: str


@contextmanager
def without_indexes(tables: Sequence[type[models.Model]]) -> Iterator[None]:
    """Within it the `tables` have primary keys and CHECKs alone.

    They are locked against every other session from here to the end of the transaction. Raises
    IntegrityError at the end if rows break what was put away.
    """
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL maintenance_work_mem = '512MB'")
        puts = _constraints(tables) + _indexes(tables)
        for put in puts:
            cursor.execute(put.away)
        yield
        # What foreign keys are still waiting for stands in the way of changing their tables.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")
        for put in sorted(puts, key=lambda put: "FOREIGN KEY" in put.back):
            cursor.execute(put.back)


def _constraints(tables: Sequence[type[models.Model]]) -> list[_Put]:
    return [
        _Put(
            away=f"ALTER TABLE {table} DROP CONSTRAINT {name}",
            back=f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}",
        )
        for table, name, definition in _found(_CONSTRAINTS, tables)
    ]


def _indexes(tables: Sequence[type[models.Model]]) -> list[_Put]:
    return [
        _Put(away=f"DROP INDEX {name}", back=definition)
        for name, definition in _found(_INDEXES, tables)
    ]


def _found(query: str, tables: Sequence[type[models.Model]]) -> list[tuple[str, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, [[table._meta.db_table for table in tables]])
        rows: list[tuple[str, ...]] = cursor.fetchall()
    return rows
