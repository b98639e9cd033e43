"""What PostgreSQL reads to answer a list, for tests of long ones."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from django.db.models import QuerySet

PAGE = 51
"""The rows that a page of the default size asks for."""


def rows_read(rows: QuerySet[Any], *, order: str) -> tuple[int, int]:
    """How many rows the first page of `rows` in that order has, and how many were read for it.

    Ties go by id, as in the API. Rows that were read and thrown away count, of every table.
    """
    tie = "-id" if order.startswith("-") else "id"
    page = rows.order_by(*dict.fromkeys([order, tie]))[:PAGE]
    [plan] = json.loads(page.explain(format="json", analyze=True))
    return round(plan["Plan"]["Actual Rows"]), round(sum(_read(plan["Plan"])))


def _read(node: dict[str, Any]) -> Iterator[float]:
    # A bitmap's rows are read by the heap scan above it.
    if node["Node Type"].endswith("Scan") and node["Node Type"] != "Bitmap Index Scan":
        removed = node.get("Rows Removed by Filter", 0)
        yield (node["Actual Rows"] + removed) * node["Actual Loops"]
    for part in node.get("Plans", ()):
        yield from _read(part)
