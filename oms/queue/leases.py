"""Rows as work queues: claimed under a lease, retried later, given up after too many attempts.

A message only wakes a worker; what is due is in the row. Times are of the database's clock.
The fencing token grows with each claim, so that a worker whose lease ran out while it was busy can
no longer write its outcome over that of its successor. How often a row is retried is in
oms/settings/retries.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from functools import cache
from typing import Any, ClassVar, TypeVar

import structlog
from django.conf import settings
from django.db import connection, models
from django.db.models import Min, Q
from django.db.models.functions import Now

from oms.core.retries import RetryPolicy
from oms.db.pipeline import execute
from oms.db.transactions import with_retries
from oms.queue.wakeups import hold_wakeups, release_wakeups, wake

log = structlog.get_logger(__name__)

# For how long a claimed row belongs to its worker, which renews the lease of work that may take
# longer. What a killed worker has claimed is claimed again after this time.
LEASE = timedelta(seconds=16)


class LeasedWork(models.Model):
    """The fields of a row that workers claim.

    It is due from the moment it is inserted. `next_attempt_at` is null when nothing is left to do,
    or when it was given up: then `unfinished` still applies. `lease_until` is null when no worker
    has it; a lease that has expired means that the last attempt did not end.
    """

    attempts = models.PositiveIntegerField(default=0, editable=False)
    next_attempt_at = models.DateTimeField(null=True, blank=True, editable=False, db_default=Now())
    lease_until = models.DateTimeField(null=True, blank=True, editable=False)
    fencing_token = models.PositiveBigIntegerField(default=0, editable=False)
    last_error = models.TextField(blank=True, default="", editable=False)

    # The rows that have no outcome.
    unfinished: ClassVar[Q]
    # What else is written to a row that will be retried, and to one that is given up.
    waiting_values: ClassVar[Mapping[str, Any]] = {}
    given_up_values: ClassVar[Mapping[str, Any]] = {}

    class Meta:
        abstract = True


def lease_indexes(name: str) -> list[models.Index]:
    """The indexes by which rows are claimed; a row is in one of them at most."""
    return [
        models.Index(
            fields=["next_attempt_at"],
            name=f"{name}_waiting",
            condition=Q(next_attempt_at__isnull=False, lease_until__isnull=True),
        ),
        models.Index(
            fields=["lease_until"],
            name=f"{name}_leased",
            condition=Q(lease_until__isnull=False),
        ),
    ]


Work = TypeVar("Work", bound=LeasedWork)


def retry_policy(model: type[models.Model]) -> RetryPolicy:
    """How often the rows of `model` are retried."""
    policy: RetryPolicy = settings.RETRY_POLICIES[model._meta.label_lower]
    return policy


def given_up(model: Any) -> models.QuerySet[Any]:
    """The rows of `model` that are not retried any more and have no outcome (`unfinished`)."""
    rows: models.QuerySet[Any] = model._default_manager.filter(
        model.unfinished, next_attempt_at=None
    )
    return rows


def is_due(model: type[Work]) -> bool:
    """Whether any row of `model` is due and not leased."""
    return any(rows.exists() for rows, _ in _due(model))


def seconds_overdue(model: type[Work]) -> float:
    """For how many seconds the most overdue row of `model` has waited; 0 if none is due."""
    waits = [rows.aggregate(waited=Now() - Min(since))["waited"] for rows, since in _due(model)]
    return max((wait.total_seconds() for wait in waits if wait is not None), default=0.0)


def _due(model: type[Work]) -> tuple[tuple[models.QuerySet[Work], str], ...]:
    """The due rows by the two indexes, each with the column of the time since when they are."""
    manager: Any = model._default_manager
    return (
        (manager.filter(next_attempt_at__lte=Now(), lease_until=None), "next_attempt_at"),
        (manager.filter(next_attempt_at__isnull=False, lease_until__lt=Now()), "lease_until"),
    )


def give_up(work: LeasedWork, *, error: str, **values: Any) -> bool:
    """End the lease and leave the row to staff; False if another worker has claimed it since."""
    values = {**type(work).given_up_values, **values}
    is_given_up = release_lease(work, next_attempt_at=None, last_error=error, **values)
    if is_given_up:
        log.error("work_given_up", kind=work._meta.label_lower, id=str(work.pk), error=error)
    return is_given_up


def claim_due(
    model: type[Work],
    *,
    limit: int,
    changes: str = "",
    give_up: Callable[..., bool] = give_up,
) -> list[Work]:
    """Lease up to `limit` of the due rows of `model`, and count the attempts.

    `changes` are SQL assignments of the table `work` that the same statement makes. Returns the
    rows with their new `attempts` and `fencing_token`, otherwise as they were before, the most
    overdue first.

    Of a backlog, half are the most overdue rows and half the newest ones: so after an outage new
    work does not wait for all that was left. One row whose last attempt did not end may be added,
    as the last: if it kills its workers, it must not use up the attempts of others. One whose
    attempts are used up is passed to `give_up` instead.
    """
    names = [field.attname for field in model._meta.concrete_fields]
    # A statement is a transaction of its own. It is planned for the rows that are due now.
    statement = _claim_statement(model, changes)
    oldest = (limit + 1) // 2
    parameters = [oldest, oldest, limit - oldest, LEASE]
    claimed = with_retries(lambda: execute(statement, parameters, prepared=False).rows())
    rows = []
    for *values, _was_interrupted, _due_at in sorted(claimed, key=lambda row: row[-2:]):
        row = model.from_db(connection.alias, names, values)
        row.attempts += 1
        row.fencing_token += 1
        if row.attempts > retry_policy(model).attempts:
            give_up(row, error="The worker died in the last attempt.")
        else:
            rows.append(row)
    return rows


@cache
def _claim_statement(model: type[LeasedWork], changes: str) -> str:
    quote = connection.ops.quote_name
    table = quote(model._meta.db_table)
    fields: Any = model._meta.concrete_fields
    columns = ", ".join(f"claimed.{quote(field.column)}" for field in fields)
    waiting = "next_attempt_at <= statement_timestamp() AND lease_until IS NULL"
    # Names come from the model, and changes from the code, alone.
    return f"""
        WITH oldest AS MATERIALIZED (
            SELECT *, false AS was_interrupted, next_attempt_at AS due_at FROM {table}
            WHERE {waiting} ORDER BY next_attempt_at LIMIT %s
            FOR NO KEY UPDATE SKIP LOCKED
        ), newest AS MATERIALIZED (
            SELECT *, false AS was_interrupted, next_attempt_at AS due_at FROM {table}
            WHERE {waiting} ORDER BY next_attempt_at DESC
            LIMIT CASE WHEN (SELECT count(*) FROM oldest) < %s THEN 0 ELSE %s END
            FOR NO KEY UPDATE SKIP LOCKED
        ), interrupted AS MATERIALIZED (
            SELECT *, true AS was_interrupted, lease_until AS due_at FROM {table}
            WHERE lease_until < statement_timestamp() AND next_attempt_at IS NOT NULL
            ORDER BY lease_until LIMIT 1
            FOR NO KEY UPDATE SKIP LOCKED
        ), claimed AS (
            SELECT * FROM oldest
            UNION ALL SELECT * FROM newest WHERE id NOT IN (SELECT id FROM oldest)
            UNION ALL SELECT * FROM interrupted
        )
        UPDATE {table} AS work
        SET attempts = work.attempts + 1, fencing_token = work.fencing_token + 1,
            lease_until = statement_timestamp() + %s{", " if changes else ""}{changes}
        FROM claimed WHERE work.id = claimed.id
        RETURNING {columns}, claimed.was_interrupted, claimed.due_at
    """  # noqa: S608


def renew_leases(model: type[Work], rows: Collection[Work]) -> None:
    """Extend the leases of the claimed `rows`, but for those that other workers have now."""
    if rows:
        execute(
            _renew_statement(model),
            [LEASE, [row.pk for row in rows], [row.fencing_token for row in rows]],
        )


@cache
def _renew_statement(model: type[LeasedWork]) -> str:
    table = connection.ops.quote_name(model._meta.db_table)
    return f"""
        UPDATE {table} AS work SET lease_until = statement_timestamp() + %s
        FROM unnest(%s::uuid[], %s::bigint[]) AS held (id, token)
        WHERE work.id = held.id AND work.fencing_token = held.token AND lease_until IS NOT NULL
    """  # noqa: S608


def reschedule(work: LeasedWork, *, error: str, **values: Any) -> bool:
    """End the lease of a failed attempt and retry the row after a pause, or give it up.

    Returns whether it was given up.
    """
    pause = retry_policy(type(work)).pause_after(work.attempts)
    if pause is None:
        return give_up(work, error=error, **values)
    next_attempt_at = Now() + pause
    values = {**type(work).waiting_values, **values, "next_attempt_at": next_attempt_at}
    release_lease(work, last_error=error, **values)
    return False


def release_lease(work: LeasedWork, **values: Any) -> bool:
    """End the lease and write `values`, unless another worker has claimed the row since."""
    if "last_error" in values:  # PostgreSQL stores no NUL, and some of the text is of others
        values["last_error"] = values["last_error"].replace("\x00", "")
    rows = type(work)._default_manager.filter(pk=work.pk, fencing_token=work.fencing_token)
    return bool(rows.update(lease_until=None, **values))


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
