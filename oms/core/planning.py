"""Statements that PostgreSQL is to plan for the values that they ask for.

A statement that is sent often is prepared, and its plan in time no longer sees the values: that is
right for `id = …`, and wrong for what is rare or common, as a status is. Of a million payments a
plan for any status walks through the list until it has met a page of it, which for a rare one is
the whole list; nor can it use a partial index. A plan for the value itself takes the index.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection


@contextmanager
def planned_by_values() -> Iterator[None]:
    """Within it no statement of this thread's connection is prepared, nor a prepared one used."""
    connection.ensure_connection()
    driver: Any = connection.connection
    threshold, driver.prepare_threshold = driver.prepare_threshold, None
    try:
        yield
    finally:
        driver.prepare_threshold = threshold
