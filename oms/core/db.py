"""Transactions, and what tells their story: every operation wears one of three decorators.

`@transaction`           the operation is atomic: it opens a transaction, or joins the caller's.
`@transaction_required`  it locks or writes as a part of something larger, and says so.
`@durable`               it must not run inside a transaction: it commits by itself, or calls a
                         network service, which no transaction may wait for.
"""

from __future__ import annotations

import functools
import random
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from decimal import Decimal
from typing import Any, ParamSpec, TypeVar

import orjson
import psycopg
from django.db import DatabaseError, connection, models
from django.db import transaction as django_transaction

from oms.core.errors import DeadlineExceeded, Unavailable

P = ParamSpec("P")
R = TypeVar("R")

MAX_ATTEMPTS = 3
_gathered: ContextVar[list[tuple[str, Sequence[Any]]] | None] = ContextVar("writes", default=None)
_RETRIED = (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected)


class DatabaseBusy(Unavailable):
    """Another change of the same objects is still running; try again shortly."""

    code = "busy"


def in_transaction() -> bool:
    """Whether a transaction is open; one that a test case wraps around itself does not count."""
    return connection.in_atomic_block and not all(
        getattr(block, "_from_testcase", False) for block in connection.atomic_blocks
    )


class RetryTransaction(Exception):
    """Ask for the whole transaction to be undone and run again."""


def is_retried(error: BaseException | None) -> bool:
    """Whether a new transaction cures `error`: a deadlock, say, or a random value drawn twice.

    The names of unique constraints on random values end in "_drawn".
    """
    if isinstance(error, RetryTransaction):
        return True
    return isinstance(error, DatabaseError) and (
        isinstance(error.__cause__, _RETRIED) or violated_constraint(error).endswith("_drawn")
    )


def transaction(operation: Callable[P, R]) -> Callable[P, R]:
    """Make `operation` atomic.

    As the outermost one it is run again, whole, after a serialisation failure, a deadlock or a
    value drawn twice (see `is_retried`), at most three times in all with a random pause; a lock
    timeout is `DatabaseBusy` at once. Inside another transaction it joins that one: what it raises
    undoes the whole.
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
        if not connection.in_atomic_block:
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


def write(statement: str, parameters: Sequence[Any]) -> None:
    """Run a statement that changes rows and returns none; or gather it, in `written_together`."""
    gathered = _gathered.get()
    if gathered is not None:
        gathered.append((statement, parameters))
        return
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)


@contextmanager
def written_together() -> Iterator[None]:
    """Run all that is given to `write` inside as one statement, when the block ends.

    So each of them fails at the end, and none may need what another writes: all see the tables as
    they were before, and no order among them is promised (PostgreSQL, "Data-Modifying Statements in
    WITH"). Inside another such block it joins that one; so nothing in it can be undone by itself,
    by a savepoint or by catching what an inner block raises.
    """
    if _gathered.get() is not None:
        yield
        return
    gathered: list[tuple[str, Sequence[Any]]] = []
    token = _gathered.set(gathered)
    try:
        yield
    finally:
        _gathered.reset(token)
    if gathered:
        with connection.cursor() as cursor:
            cursor.execute(
                _as_one(tuple(statement for statement, _ in gathered)),
                [parameter for _, parameters in gathered for parameter in parameters],
            )


@functools.lru_cache(maxsize=256)
def _as_one(statements: tuple[str, ...]) -> str:
    *first, last = statements
    named = ", ".join(f"s{number} AS ({statement})" for number, statement in enumerate(first))
    return f"WITH {named} {last}" if named else last


def insert_rows(
    model: type[models.Model],
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    skip_existing: bool = False,
) -> None:
    """Insert `rows`, each in the order of the field names `columns`, with one statement.

    A foreign key may be called by the name of its column too, as "order_id" of the field "order".

    All rows travel as one JSON parameter: the statement's text, and with it its prepared plan, is
    the same for one row and for ten thousand, and both ends are faster with it than with an array
    for each column. With `skip_existing` a row that a unique constraint refuses is left out in
    silence.
    """
    documents = [dict(zip(columns, row, strict=True)) for row in rows]
    if documents:
        write(
            _insert_statement(model, tuple(columns), skip_existing),
            [orjson.dumps(documents, default=_json_value).decode()],
        )


@functools.cache
def _insert_statement(
    model: type[models.Model], names: tuple[str, ...], skip_existing: bool
) -> str:
    fields: list[Any] = [model._meta.get_field(name) for name in names]
    quote = connection.ops.quote_name
    columns = ", ".join(quote(field.column) for field in fields)
    # Without its length or precision: a cast to varchar(3) would cut a longer text in silence,
    # where the assignment to the column refuses it.
    types = ", ".join(
        f"{quote(name)} {re.sub(r'[(].*[)]', '', field.rel_db_type(connection))}"
        for name, field in zip(names, fields, strict=True)
    )
    # Names and types come from the model alone.
    return (
        f"INSERT INTO {quote(model._meta.db_table)} ({columns})"  # noqa: S608
        f" SELECT * FROM json_to_recordset(%s::json) AS new ({types})"
        f"{' ON CONFLICT DO NOTHING' if skip_existing else ''}"
    )


def _json_value(value: Any) -> str:
    """What orjson does not know, as the text that PostgreSQL reads."""
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no form in a row.")


@contextmanager
def pipelined() -> Iterator[None]:
    """Send statements without waiting for their results, until one is fetched or the block ends.

    A statement's error is then raised by a later one or by the end of the block, which must be
    inside the transaction: to roll back in a broken pipeline costs the connection (libpq's pipeline
    mode; psycopg.Connection.pipeline).
    """
    connection.ensure_connection()
    with connection.wrap_database_errors, connection.connection.pipeline():
        yield
