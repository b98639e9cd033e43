"""Asking all checks of one snapshot of the database."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from django.db import connection, transaction

from oms.events.archiving import first_unarchived_id
from oms.reconcile.checks import Check, Finding, Violation

# How many violations of a check are shown.
SHOWN = 20

# The orders with news of their money that the consumer "orders" has not taken yet. They follow
# their payments as soon as it has.
_UNHEARD = """
    SELECT (event.data->>'order_id')::uuid AS order_id
    FROM events_event AS event
    WHERE event.object_type IN ('payment', 'refund')
      AND (event.transaction, event.position) > (
          coalesce((SELECT transaction FROM events_consumeroffset WHERE consumer = 'orders'),
                   '0'::xid8),
          coalesce((SELECT position FROM events_consumeroffset WHERE consumer = 'orders'), 0))
    UNION
    SELECT (event.data->>'order_id')::uuid
    FROM events_parkedevent AS parked
    JOIN events_event AS event ON event.id = parked.event_id
    WHERE parked.consumer = 'orders'
"""

_SETTINGS = (
    "SET LOCAL statement_timeout = 0",
    "SET LOCAL idle_in_transaction_session_timeout = 0",
    "SET LOCAL work_mem = '256MB'",  # a million orders have millions of rows to group
    "SET LOCAL jit = off",
)


def findings_of(
    checks: Sequence[Check], *, done: Callable[[Finding], None] = lambda finding: None
) -> list[Finding]:
    """What the checks find, all in one read-only snapshot; `done` is called after each.

    Inside a transaction of the caller, as in a test, they see that transaction's state.
    """
    has_own_transaction = not connection.in_atomic_block
    findings = []
    with transaction.atomic(), connection.cursor() as cursor:
        if has_own_transaction:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        for setting in _SETTINGS:
            cursor.execute(setting)
        for check in checks:
            finding = _ask(cursor, check)
            done(finding)
            findings.append(finding)
    return findings


def _ask(cursor: Any, check: Check) -> Finding:
    began = time.monotonic()
    cursor.execute(
        # Both parts are constants of this package.
        f"WITH unheard AS ({_UNHEARD}), violation AS ({check.sql})"  # noqa: S608
        " SELECT id, detail, count(*) OVER () FROM violation ORDER BY id LIMIT %(shown)s",
        {**check.parameters, "shown": SHOWN, "unarchived": first_unarchived_id()},
    )
    rows = cursor.fetchall()
    return Finding(
        name=check.name,
        promise=check.promise,
        violations=tuple(Violation(id=id, detail=detail) for id, detail, _ in rows),
        total=rows[0][2] if rows else 0,
        seconds=time.monotonic() - began,
    )
