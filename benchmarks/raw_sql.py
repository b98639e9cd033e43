"""Raw SQL on Django's connection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import connection


def run(statements: str) -> None:
    """Execute statements that return nothing."""
    with connection.cursor() as cursor:
        cursor.execute(statements)


def rows(query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """All rows of a query."""
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        return list(cursor.fetchall())
