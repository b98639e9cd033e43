"""Faults in the database itself, for tests of what one bad row may stop."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

_REFUSE = """
    CREATE FUNCTION test_refuse_row() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'refused by the test'; END $$;
    CREATE TRIGGER test_refuse_row BEFORE {operation} ON {table}
        FOR EACH ROW WHEN ({condition}) EXECUTE FUNCTION test_refuse_row()
"""


@contextmanager
def refused_rows(table: str, operation: str, *, condition: str) -> Iterator[None]:
    """Let the database refuse the INSERT, UPDATE or DELETE of rows that meet the SQL condition."""
    with connection.cursor() as cursor:
        cursor.execute(_REFUSE.format(table=table, operation=operation, condition=condition))
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP FUNCTION test_refuse_row CASCADE")
