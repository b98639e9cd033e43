"""Transactions: every operation has one of three decorators.

`@transaction`           is atomic: opens a transaction, or joins the caller's.
`@transaction_required`  locks or writes as part of a larger operation, in its transaction.
`@durable`               must not run inside a transaction: commits itself, or calls a network
                         service, for which no transaction may wait.

Transactions that a test case opens around itself do not count, so tests fail as production would.
"""

from __future__ import annotations

import functools
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

import psycopg
from django.db import DatabaseError, connection
from django.db import transaction as django_transaction

from oms.core.errors import DeadlineExceeded, Unavailable
from oms.db.libpq import STALE

P = ParamSpec("P")
R = TypeVar("R")

MAX_ATTEMPTS = 3
_RETRIED = (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected, *STALE)


class DatabaseBusy(Unavailable):
    """Another change of the same objects is still running; try again shortly."""

    code = "busy"


def in_transaction() -> bool:
    """Whether a transaction is open, other than the one that a test case opens around itself."""
    return connection.in_atomic_block and not all(
        getattr(block, "_from_testcase", False) for block in connection.atomic_blocks
    )


class RetryTransaction(Exception):
    """Raised to roll back the whole transaction and retry it."""


def is_retried(error: BaseException | None) -> bool:
    """Whether a retry can succeed: after a deadlock, or for a random value that exists already.

    Or for a prepared statement that is outdated (oms/db/libpq.py).

    The names of unique constraints on random values end in "_drawn".
    """
    if isinstance(error, RetryTransaction):
        return True
    return isinstance(error, DatabaseError) and (
        isinstance(error.__cause__, _RETRIED) or violated_constraint(error).endswith("_drawn")
    )


def transaction(operation: Callable[P, R]) -> Callable[P, R]:
    """Make `operation` atomic.

    The outermost transaction is retried after a serialisation failure, a deadlock or a duplicate
    random value (see `is_retried`), at most three attempts with a random pause; a lock timeout
    raises `DatabaseBusy` at once. Inside another transaction it joins that one, and an exception
    rolls back all of it.
    """

    @functools.wraps(operation)
    def atomic(*args: P.args, **kwargs: P.kwargs) -> R:
        if in_transaction():
            with django_transaction.atomic(savepoint=False):
                return operation(*args, **kwargs)

        def attempt() -> R:
            with django_transaction.atomic():
                return operation(*args, **kwargs)

        return with_retries(attempt)

    return atomic


def with_retries(attempt: Callable[[], R]) -> R:
    """The result of `attempt`, a whole transaction, under the retry rules of `transaction`."""
    for number in range(1, MAX_ATTEMPTS + 1):
        try:
            with busy_on_lock_timeout():
                return attempt()
        except (DatabaseError, RetryTransaction) as error:
            if not is_retried(error):
                raise
            if number == MAX_ATTEMPTS:
                raise DatabaseBusy from error
            time.sleep(random.uniform(0.005, 0.05) * number)
    raise AssertionError("unreachable")


@contextmanager
def busy_on_lock_timeout() -> Iterator[None]:
    """Turn PostgreSQL's 55P03 into `DatabaseBusy`, and 57014 into `DeadlineExceeded`."""
    try:
        yield
    except DatabaseError as error:
        if isinstance(error.__cause__, psycopg.errors.LockNotAvailable):
            raise DatabaseBusy from error
        if isinstance(error.__cause__, psycopg.errors.QueryCanceled):
            raise DeadlineExceeded from error
        raise


def transaction_required(operation: Callable[P, R]) -> Callable[P, R]:
    """Refuse to run `operation` outside a transaction."""

    @functools.wraps(operation)
    def inside(*args: P.args, **kwargs: P.kwargs) -> R:
        if not in_transaction():
            raise RuntimeError(f"{operation.__qualname__} must run inside a transaction.")
        return operation(*args, **kwargs)

    return inside


def durable(operation: Callable[P, R]) -> Callable[P, R]:
    """Refuse to run `operation` inside a transaction."""

    @functools.wraps(operation)
    def outside(*args: P.args, **kwargs: P.kwargs) -> R:
        if in_transaction():
            raise RuntimeError(f"{operation.__qualname__} must not run inside a transaction.")
        return operation(*args, **kwargs)

    return outside


def violated_constraint(error: DatabaseError) -> str:
    """The name of the constraint that `error` reports; "" if it reports none."""
    cause = error.__cause__
    return (cause.diag.constraint_name or "") if isinstance(cause, psycopg.Error) else ""
