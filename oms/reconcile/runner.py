"""Running checks in one snapshot of the database."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any

from django.db import connection, transaction

from oms.reconcile.checks import SHOWN, Check, Finding, Violation

_SETTINGS = (
    "SET LOCAL statement_timeout = 0",
    "SET LOCAL idle_in_transaction_session_timeout = 0",
    "SET LOCAL work_mem = '256MB'",  # a million orders have millions of rows to group
    "SET LOCAL jit = off",
)


def run_checks(checks: Iterable[Check]) -> Iterator[Finding]:
    """The finding of each check, all of one read-only snapshot.

    Inside a transaction of the caller, as in a test, they see that transaction's state.
    """
    has_own_transaction = not connection.in_atomic_block
    with transaction.atomic(), connection.cursor() as cursor:
        if has_own_transaction:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        for setting in _SETTINGS:
            cursor.execute(setting)
        for check in checks:
            yield _run(cursor, check)


def _run(cursor: Any, check: Check) -> Finding:
    started = time.monotonic()
    ctes = f"{check.ctes}, " if check.ctes else ""
    cursor.execute(
        # All parts are constants of the checks' modules.
        f"WITH {ctes}violation AS ({check.sql})"  # noqa: S608
        " SELECT id, detail, count(*) OVER () FROM violation ORDER BY id LIMIT %(shown)s",
        {**check.parameters(), "shown": SHOWN},
    )
    rows = cursor.fetchall()
    return Finding(
        name=check.name,
        promise=check.promise,
        violations=tuple(Violation(id=id, detail=detail) for id, detail, _ in rows),
        total=rows[0][2] if rows else 0,
        seconds=time.monotonic() - started,
    )
