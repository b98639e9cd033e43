"""Reading the log in its order, (transaction, position), up to where it is settled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from oms.db.pipeline import Make, Pipeline, R, Result
from oms.db.transactions import transaction_required

SETTLED = "transaction < pg_snapshot_xmin(pg_current_snapshot())"
"""In SQL: every transaction that began before that of the event has ended."""


@transaction_required
def query_in_order(
    pipeline: Pipeline, statement: str, parameters: Sequence[Any], *, make: Make[R]
) -> Result[R]:
    """Queue a statement that reads the log in its order, from a position on."""
    # A log that has grown since it was last analysed seems so short that PostgreSQL would sort all
    # that follows the position instead of using an index.
    pipeline.query("SET LOCAL enable_sort = off", prepared=False)
    found = pipeline.query(statement, parameters, make=make, prepared=False)
    pipeline.query("SET LOCAL enable_sort = on", prepared=False)
    return found
