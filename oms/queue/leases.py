"""Rows as work queues: claimed under a lease, retried later, dead after too many attempts.

A message only wakes a worker; what is due is in the row. Times are of the database's clock.
The fencing token grows with each claim, so that a worker whose lease ran out while it was busy can
no longer write its outcome over that of its successor.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from typing import Any, TypeVar

from django.db import connection, models
from django.db.models import F, Q
from django.db.models.functions import Now

from oms.db.pipeline import execute
from oms.db.transactions import with_retries
from oms.queue.wakeups import hold_wakeups, release_wakeups, wake


class LeasedWork(models.Model):
    """The fields of a row that workers claim.

    It is due from the moment it is inserted. `next_attempt_at` is null when nothing is left to do,
    `lease_until` when no worker has it.
    """

    attempts = models.PositiveIntegerField(default=0, editable=False)
    next_attempt_at = models.DateTimeField(null=True, blank=True, editable=False, db_default=Now())
    lease_until = models.DateTimeField(null=True, blank=True, editable=False)
    fencing_token = models.PositiveBigIntegerField(default=0, editable=False)
    last_error = models.TextField(blank=True, default="", editable=False)

    class Meta:
        abstract = True


Work = TypeVar("Work", bound=LeasedWork)


def due(model: type[Work]) -> models.QuerySet[Work]:
    """The rows of `model` that are due and not leased, the most overdue first."""
    manager: Any = model._default_manager
    rows: models.QuerySet[Work] = (
        manager.filter(next_attempt_at__lte=Now())
        .filter(Q(lease_until=None) | Q(lease_until__lt=Now()))
        .order_by("next_attempt_at")
    )
    return rows


def seconds_overdue(model: type[Work]) -> float:
    """For how many seconds the most overdue row of `model` has waited; 0 if none is due."""
    oldest = due(model).annotate(waited=Now() - F("next_attempt_at"))
    waited: timedelta | None = oldest.values_list("waited", flat=True).first()
    return 0.0 if waited is None else waited.total_seconds()


def claim_due(model: type[Work], *, lease: timedelta, limit: int, changes: str = "") -> list[Work]:
    """Lease up to `limit` of the most overdue rows of `model`, and count the attempts.

    `changes` are SQL assignments of the table `work` that the same statement makes. Returns the
    rows with their new `attempts` and `fencing_token`, otherwise as they were before, the most
    overdue first.

    A row that was claimed before is claimed alone: if it kills its workers, it must not use up the
    attempts of others.
    """
    names = [field.attname for field in model._meta.concrete_fields]
    # A statement is a transaction of its own. It is planned for the rows that are due now.
    statement = _claim_statement(model, changes)
    claimed = with_retries(lambda: execute(statement, [limit, lease], prepared=False).rows())
    rows = []
    for _, *values in sorted(claimed):
        row = model.from_db(connection.alias, names, values)
        row.attempts += 1
        row.fencing_token += 1
        rows.append(row)
    return rows


@cache
def _claim_statement(model: type[LeasedWork], changes: str) -> str:
    quote = connection.ops.quote_name
    table = quote(model._meta.db_table)
    fields: Any = model._meta.concrete_fields
    columns = ", ".join(f"claimed.{quote(field.column)}" for field in fields)
    # Names come from the model, and changes from the code, alone.
    return f"""
        WITH due AS MATERIALIZED (
            SELECT * FROM {table}
            WHERE next_attempt_at <= statement_timestamp()
              AND (lease_until IS NULL OR lease_until < statement_timestamp())
            ORDER BY next_attempt_at LIMIT %s
            FOR NO KEY UPDATE SKIP LOCKED
        ), numbered AS (
            SELECT *, row_number() OVER so_far AS place,
                   bool_or(attempts > 0) OVER so_far AS is_behind_a_tried_one
            FROM due
            WINDOW so_far AS (ORDER BY next_attempt_at, id ROWS UNBOUNDED PRECEDING)
        ), claimed AS (
            SELECT * FROM numbered WHERE place = 1 OR NOT is_behind_a_tried_one
        )
        UPDATE {table} AS work
        SET attempts = work.attempts + 1, fencing_token = work.fencing_token + 1,
            lease_until = statement_timestamp() + %s{", " if changes else ""}{changes}
        FROM claimed WHERE work.id = claimed.id
        RETURNING claimed.place, {columns}
    """  # noqa: S608


def process_due_work(
    task: str,
    step: Callable[[], int],
    *,
    seconds: float,
    pause: float = 0.0,
    full: int | None = None,
) -> int:
    """Call `step`, which returns how many rows it processed, until that is 0 or `seconds` pass.

    Returns the total. Calls start `pause` seconds apart: the first at once, so that a single job is
    not delayed; later ones process together what has been added. Until then no messages are sent
    for `task`, the Celery task whose work this is. A call that processes `full` rows or more wakes
    another worker instead, and so does running out of time.
    """
    until = time.monotonic() + seconds
    is_holding = False
    release_wakeups(task)
    try:
        started = time.monotonic()
        done = did = step()
        while did and time.monotonic() < until:
            if full is None or did < full:
                hold_wakeups(task)
                is_holding = True
            else:
                if is_holding:
                    release_wakeups(task)
                    is_holding = False
                wake(task)
            time.sleep(max(0.0, started + pause - time.monotonic()))
            started = time.monotonic()
            did = step()
            if not did:
                release_wakeups(task)
                did = step()  # what was committed just before, and so sent no message
            done += did
    except BaseException:
        release_wakeups(task)  # the next message must not be held back
        raise
    if did:
        release_wakeups(task)
        wake(task)
    return done


def backoff(attempts: int, *, first: float, longest: float) -> timedelta:
    """The pause after that many attempts: doubling from `first`, at most `longest` seconds."""
    return timedelta(seconds=min(longest, first * 2 ** min(max(attempts - 1, 0), 30)))
