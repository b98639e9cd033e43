"""Rows that are work: claimed under a lease, tried again later, dead after too many attempts.

A message only wakes a worker; what is due stands in the row. Times are of the database's clock.
The fencing token grows with each claim, so that a worker whose lease ran out while it was busy can
no longer write its outcome over that of its successor.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from itertools import takewhile
from typing import Any, TypeVar

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from oms.core.db import transaction
from oms.core.waking import stay_awake, wake, woken


class LeasedWork(models.Model):
    """What a claimable row has besides its own fields.

    It is due from the moment it is inserted. `next_attempt_at` is null when nothing is left to do,
    `lease_until` when nobody works on it.
    """

    attempts = models.PositiveIntegerField(default=0, editable=False)
    next_attempt_at = models.DateTimeField(null=True, blank=True, editable=False, db_default=Now())
    lease_until = models.DateTimeField(null=True, blank=True, editable=False)
    fencing_token = models.PositiveBigIntegerField(default=0, editable=False)
    last_error = models.TextField(blank=True, default="", editable=False)

    class Meta:
        abstract = True


Work = TypeVar("Work", bound=LeasedWork)

# While there is a backlog, another worker is called for once in so many seconds.
_CALLING_EVERY = 1.0


def due(model: type[Work]) -> models.QuerySet[Work]:
    """The rows of `model` that are due and that nobody holds a lease on, the most overdue first."""
    manager: Any = model._default_manager
    rows: models.QuerySet[Work] = (
        manager.filter(next_attempt_at__lte=Now())
        .filter(Q(lease_until=None) | Q(lease_until__lt=Now()))
        .order_by("next_attempt_at")
    )
    return rows


def seconds_overdue(model: type[Work]) -> float:
    """For how long the most overdue row of `model` has waited; 0 if none does."""
    oldest = due(model).annotate(waited=Now() - F("next_attempt_at"))
    waited: timedelta | None = oldest.values_list("waited", flat=True).first()
    return 0.0 if waited is None else waited.total_seconds()


def claim_due(model: type[Work], *, lease: timedelta, limit: int, **changes: object) -> list[Work]:
    """Take the leases on up to `limit` of the most overdue rows of `model`, and count the attempts.

    `changes` are written to them by the same statement. Returns the rows with their new `attempts`
    and `fencing_token`, and else as they were before; empty if nothing is due that nobody holds.

    A row that was claimed before is claimed alone: should it be the one that kills its workers, it
    must not use up the attempts of others.
    """
    # Most looks find nothing, and need no transaction for that.
    return _claim(model, lease=lease, limit=limit, changes=changes) if due(model).exists() else []


@transaction
def _claim(
    model: type[Work], *, lease: timedelta, limit: int, changes: Mapping[str, object]
) -> list[Work]:
    rows = list(due(model).select_for_update(skip_locked=True, no_key=True)[:limit])
    if not rows:
        return []
    fresh = list(takewhile(lambda row: not row.attempts, rows))
    claimed = fresh or rows[:1]
    manager: Any = model._default_manager
    manager.filter(pk__in=[row.pk for row in claimed]).update(
        attempts=F("attempts") + 1,
        fencing_token=F("fencing_token") + 1,
        lease_until=Now() + lease,
        **changes,
    )
    for row in claimed:
        row.attempts += 1
        row.fencing_token += 1
    return claimed


def drain(
    task: str,
    step: Callable[[], int],
    *,
    seconds: float,
    pause: float = 0.0,
    full: int | None = None,
) -> int:
    """Call `step`, which returns how much it did, until it does nothing or `seconds` have passed.

    Returns how much all did. The steps begin `pause` seconds apart: the first at once, so that a
    single piece of work waits for nothing, and the later ones find together what came meanwhile.
    As long as this goes on no messages are sent for the Celery task called `task`, whose work this
    is, unless a step did `full` or more: then this worker has its hands full, and another one is
    woken, once a second at most. So is one at the end where time ran out first.
    """
    until = time.monotonic() + seconds
    woken(task)
    began = time.monotonic()
    done = did = step()
    called = float("-inf")
    try:
        while did:
            now = time.monotonic()
            is_over, is_full = now >= until, full is not None and did >= full
            if is_over or (is_full and now - called >= _CALLING_EVERY):
                called = now
                woken(task)
                wake(task)
            elif not is_full:
                stay_awake(task)
            if is_over:
                break
            time.sleep(max(0.0, began + pause - time.monotonic()))
            began = time.monotonic()
            did = step()
            if not did:
                woken(task)
                did = step()  # what was committed just before, and so sent no message
            done += did
    except BaseException:
        woken(task)  # nobody looks again: the next message must not be held back
        raise
    return done


def backoff(attempts: int, *, first: float, longest: float) -> timedelta:
    """The pause after that many attempts: doubling from `first`, at most `longest` seconds."""
    return timedelta(seconds=min(longest, first * 2 ** min(max(attempts - 1, 0), 30)))
