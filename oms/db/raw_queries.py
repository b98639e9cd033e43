"""Reading plain rows past the ORM: no instances, and the driver's fast, binary format.

Of a list's cost most was instances of models, and of a plain row's most its times: Django's loader
of `timestamptz` takes 4 µs each, the driver's binary one 0.2 µs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import orjson
from django.core.exceptions import EmptyResultSet
from django.db.models import QuerySet
from psycopg.types.json import set_json_loads

from oms.db.pipeline import ask

# The address of an order took 4 µs by the standard library, a sixth of a page of them; takes 0.5.
set_json_loads(orjson.loads)

# A class of typing.NamedTuple.
R = TypeVar("R", bound=tuple[Any, ...])


def fetch_values(sql: str, params: Sequence[Any]) -> list[tuple[Any, ...]]:
    """The values of all rows that the statement finds; it is prepared."""
    return ask(sql, params).rows()


def fetch_rows(row: type[R], sql: str, params: Sequence[Any]) -> list[R]:
    """The same as rows, the columns in the order of the fields of `row`."""
    return asking_rows(row, sql, params)()


def asking_rows(row: type[R], sql: str, params: Sequence[Any]) -> Callable[[], list[R]]:
    """Ask for the same; the rows are fetched by calling what is returned.

    So what is asked in a block of `pipelined` shares a round trip.
    """
    asked = ask(sql, params)
    return lambda: _made(row, asked.rows())


def rows_of(row: type[R], queryset: QuerySet[Any]) -> list[R]:
    """The rows of `queryset`, whose fields, annotations among them, have the names of `row`'s.

    They are planned for the values that are asked for (see oms/db/pipeline.py).
    """
    return asking_rows_of(row, queryset)()


def asking_rows_of(row: type[R], queryset: QuerySet[Any]) -> Callable[[], list[R]]:
    """Ask for the same; the rows are fetched by calling what is returned."""
    fields: Any = row
    try:
        sql, params = queryset.values_list(*fields._fields).query.sql_with_params()
    except EmptyResultSet:  # such as of a condition that holds for nothing
        return list
    asked = ask(sql, params, prepared=False)
    return lambda: _made(row, asked.rows())


def _made(row: type[R], found: Sequence[tuple[Any, ...]]) -> list[R]:
    make: Any = row
    return [make._make(values) for values in found]
