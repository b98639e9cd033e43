"""Changing many rows, each in its own way, with one statement."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

import orjson
from django.db import connection, models

from oms.core.db import transaction_required


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

    All rows travel as one JSON parameter, as those of `insert_rows` do, for the same reasons.
    """
    documents = [dict(zip(columns, row, strict=True)) for row in rows]
    if not documents:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(
            _update_statement(model, tuple(columns), ("id", *matching)),
            [orjson.dumps(documents, default=_json_value).decode()],
        )
        return int(cursor.rowcount)


@functools.cache
def _update_statement(
    model: type[models.Model], names: tuple[str, ...], keys: tuple[str, ...]
) -> str:
    quote = connection.ops.quote_name
    table = quote(model._meta.db_table)
    fields: dict[str, Any] = {name: model._meta.get_field(name) for name in names}
    # Without length or precision, which a cast would apply in silence; see insert_rows.
    types = ", ".join(
        f"{quote(name)} {re.sub(r'[(].*[)]', '', field.rel_db_type(connection))}"
        for name, field in fields.items()
    )
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


def _json_value(value: Any) -> str:
    """What orjson does not know, as the text that PostgreSQL reads."""
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no form in a row.")
