"""Writing many rows with few statements, past the ORM.

All rows of a statement travel as one JSON parameter: its text, and with it its prepared plan, is
the same for one row and for ten thousand, and both ends are faster with it than with an array for
each column.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from decimal import Decimal
from typing import Any

import orjson
from django.db import connection, models

from oms.db.pipeline import ask
from oms.db.transactions import transaction_required

_gathered: ContextVar[list[tuple[str, Sequence[Any]]] | None] = ContextVar("writes", default=None)


def write(statement: str, parameters: Sequence[Any]) -> None:
    """Run a statement that changes rows and returns none; or gather it, in `written_together`."""
    gathered = _gathered.get()
    if gathered is not None:
        gathered.append((statement, parameters))
        return
    ask(statement, parameters)


@contextmanager
def written_together() -> Iterator[None]:
    """Run all that is given to `write` inside as one statement, when the block ends.

    So each of them fails at the end, and none may need what another writes: all see the tables as
    they were before, and no order among them is promised (PostgreSQL, "Data-Modifying Statements in
    WITH"). Inside another such block it joins that one; so nothing in it can be undone by itself,
    by a savepoint or by catching what an inner block raises.
    """
    if _gathered.get() is not None:
        yield
        return
    gathered: list[tuple[str, Sequence[Any]]] = []
    token = _gathered.set(gathered)
    try:
        yield
    finally:
        _gathered.reset(token)
    if gathered:
        ask(
            _as_one(tuple(statement for statement, _ in gathered)),
            [parameter for _, parameters in gathered for parameter in parameters],
        )


@functools.lru_cache(maxsize=256)
def _as_one(statements: tuple[str, ...]) -> str:
    *first, last = statements
    named = ", ".join(f"s{number} AS ({statement})" for number, statement in enumerate(first))
    return f"WITH {named} {last}" if named else last


def insert_rows(
    model: type[models.Model],
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    skip_existing: bool = False,
) -> None:
    """Insert `rows`, each in the order of the field names `columns`, with one statement.

    A foreign key may be called by the name of its column too, as "order_id" of the field "order".
    With `skip_existing` a row that a unique constraint refuses is left out in silence.
    """
    documents = [dict(zip(columns, row, strict=True)) for row in rows]
    if documents:
        write(
            _insert_statement(model, tuple(columns), skip_existing),
            [_json(documents)],
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

    "id" must be among `columns` and says which row is meant; those of `matching` must be as given
    too, or the row is left alone, as one whose fencing token has grown. The caller holds locks on
    rows that others change in another order.
    """
    documents = [dict(zip(columns, row, strict=True)) for row in rows]
    if not documents:
        return 0
    statement = _update_statement(model, tuple(columns), ("id", *matching))
    return ask(statement, [_json(documents)]).count()


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
    # Without length or precision: a cast to varchar(3) would cut a longer text in silence, where
    # the assignment to the column refuses it.
    quote = connection.ops.quote_name
    return ", ".join(
        f"{quote(name)} {re.sub(r'[(].*[)]', '', field.rel_db_type(connection))}"
        for name, field in fields.items()
    )


def _json(documents: Sequence[Mapping[str, Any]]) -> str:
    return orjson.dumps(documents, default=_json_value).decode()


def _json_value(value: Any) -> str:
    """What orjson does not know, as the text that PostgreSQL reads."""
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no form in a row.")
