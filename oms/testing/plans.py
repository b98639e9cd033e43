"""What PostgreSQL reads to answer a list, for tests of long ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.models import QuerySet

PAGE = 51
"""The rows that a page of the default size reads: one more than it shows."""


@dataclass(frozen=True, kw_only=True)
class Statement:
    """One statement as it was sent."""

    sql: str
    values: tuple[Any, ...] | Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Scan:
    """One scan of a plan that was carried out: `rows` are those that it read, of all its loops.

    `kind` is PostgreSQL's name of it, such as "Seq Scan".
    """

    kind: str
    table: str
    rows: int


@contextmanager
def statements_sent() -> Iterator[list[Statement]]:
    """The SELECTs that are sent within it; the list grows as they are."""
    sent: list[Statement] = []

    def note(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.lstrip().startswith(("SELECT", "WITH", "(SELECT")):
            values = params if isinstance(params, Mapping) else tuple(params or ())
            sent.append(Statement(sql=sql, values=values))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        yield sent


def scans_of(statement: Statement) -> Sequence[Scan]:
    """What PostgreSQL scans to answer `statement`, which is carried out once more for it."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement.sql}", statement.values or None)
        [document] = cursor.fetchone()
    plan = document if isinstance(document, list) else json.loads(document)
    return list(_scans(plan[0]["Plan"]))


def inflate_statistics(tables: Sequence[str], *, by: int) -> None:
    """Multiply the planner's row counts of the `tables`, until the end of the transaction.

    It then plans as for long tables; for short ones reading everything would be cheaper.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE pg_class SET reltuples = reltuples * %s"
            " WHERE reltuples > 0 AND (oid = ANY(%s::regclass[]) OR oid IN"
            " (SELECT indexrelid FROM pg_index WHERE indrelid = ANY(%s::regclass[])))",
            [by, list(tables), list(tables)],
        )


def rows_read(rows: QuerySet[Any], *, order: str) -> tuple[int, int]:
    """How many rows the first page of `rows` in that order has, and how many were read for it.

    Ties are broken by id, as in the API. Rows that were read and thrown away count, of every table.
    """
    tie = "-id" if order.startswith("-") else "id"
    page = rows.order_by(*dict.fromkeys([order, tie]))[:PAGE]
    [plan] = json.loads(page.explain(format="json", analyze=True))
    return round(plan["Plan"]["Actual Rows"]), sum(scan.rows for scan in _scans(plan["Plan"]))


def _scans(node: dict[str, Any]) -> Iterator[Scan]:
    # A bitmap's rows are read by the heap scan above it.
    if "Relation Name" in node and node["Node Type"] != "Bitmap Index Scan":
        removed = node.get("Rows Removed by Filter", 0)
        rows = (node["Actual Rows"] + removed) * node["Actual Loops"]
        yield Scan(kind=node["Node Type"], table=node["Relation Name"], rows=round(rows))
    for part in node.get("Plans", ()):
        yield from _scans(part)
