"""Writing many rows with few statements, past the ORM.

All rows of a statement travel as one JSON parameter: its text, and with it its prepared plan, is
the same for any number of rows, and both ends are faster than with an array for each column.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from django.db import connection, models

from oms.db.pipeline import Pipeline, execute
from oms.db.transactions import transaction_required


def write(statement: str, parameters: Sequence[Any], *, pipeline: Pipeline | None = None) -> None:
    """Run a statement that changes rows and returns none, or queue it in `pipeline`."""
    if pipeline is None:
        execute(statement, parameters)
    else:
        pipeline.write(statement, parameters)


def insert_rows(
    model: type[models.Model],
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    optional: Collection[str] = (),
    skip_existing: bool = False,
    pipeline: Pipeline | None = None,
) -> None:
    """Insert `rows`, each in the order of the field names `columns`, with one statement.

    In a `pipeline` it becomes a part of the one statement of all its writes.

    A foreign key may be named by its column too, as "order_id" of the field "order". Where all rows
    have nothing but empty values in the columns `optional`, these are left out, so that the
    database sets its defaults; that is faster. With `skip_existing` a row that violates a unique
    constraint is skipped.
    """
    documents = [dict(zip(columns, row, strict=True)) for row in rows]
    if optional and not any(document[name] for document in documents for name in optional):
        columns = [name for name in columns if name not in optional]
        documents = [{name: document[name] for name in columns} for document in documents]
    if documents:
        write(
            _insert_statement(model, tuple(columns), skip_existing),
            [_json(documents)],
            pipeline=pipeline,
        )


@functools.cache
def _insert_statement(
    model: type[models.Model], names: tuple[str, ...], skip_existing: bool
) -> str:
    fields: dict[str, Any] = {name: model._meta.get_field(name) for name in names}
    quote = connection.ops.quote_name
    columns = ", ".join(quote(field.column) for field in fields.values())
    types = _types(fields)
    # Names and types come from the model alone.
    return (
        f"INSERT INTO {quote(model._meta.db_table)} ({columns})"  # noqa: S608
        f" SELECT * FROM json_to_recordset(%s::json) AS new ({types})"
        f"{' ON CONFLICT DO NOTHING' if skip_existing else ''}"
    )


@transaction_required
def update_rows(
    model: type[models.Model],
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    matching: Sequence[str] = (),
) -> int:
    """Write `rows`, each in the order of the field names `columns`; returns how many were there.

    "id" must be among `columns` and identifies the row; the columns of `matching` must have the
    given values too, or the row is left alone, as one whose fencing token has grown. The caller
    holds locks on rows that others change in another order.
    """
    documents = [dict(zip(columns, row, strict=True)) for row in rows]
    if not documents:
        return 0
    statement = _update_statement(model, tuple(columns), ("id", *matching))
    return execute(statement, [_json(documents)]).count()


@functools.cache
def _update_statement(
    model: type[models.Model], names: tuple[str, ...], keys: tuple[str, ...]
) -> str:
    quote = connection.ops.quote_name
    table = quote(model._meta.db_table)
    fields: dict[str, Any] = {name: model._meta.get_field(name) for name in names}
    types = _types(fields)
    changes = ", ".join(
        f"{quote(field.column)} = new.{quote(name)}"
        for name, field in fields.items()
        if name not in keys
    )
    same = " AND ".join(
        f"{table}.{quote(fields[name].column)} = new.{quote(name)}" for name in keys
    )
    # Names and types come from the model alone.
    return (
        f"UPDATE {table} SET {changes}"  # noqa: S608
        f" FROM json_to_recordset(%s::json) AS new ({types}) WHERE {same}"
    )


def _types(fields: Mapping[str, Any]) -> str:
    """The columns of a JSON record, as a list of column definitions."""
    # Without length or precision: a cast to varchar(3) would silently truncate a longer text, where
    # assignment to the column raises an error.
    quote = connection.ops.quote_name
    return ", ".join(
        f"{quote(name)} {re.sub(r'[(].*[)]', '', field.rel_db_type(connection))}"
        for name, field in fields.items()
    )


def _json(documents: Sequence[Mapping[str, Any]]) -> str:
    """As JSON that PostgreSQL reads; decimals, UUIDs and times are texts."""
    return msgspec.json.encode(documents).decode()
