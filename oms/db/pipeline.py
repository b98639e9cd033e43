"""Statements straight to libpq, many in one round trip, past the cursors of Django and the driver.

A Django cursor takes 60 µs of CPU a statement, the driver's pipeline 40, this 5. The connection and
its transaction are Django's, values are adapted by the driver, and errors are those of both. Rows
are read in the binary format as tuples, because model instances are the largest cost of a list, and
Django's loading of timestamps that of plain rows (4 µs each instead of 0.2).

Statements are prepared unless the caller says otherwise. After a few runs a prepared
statement gets a plan that is independent of its values: right for `id = …`, wrong for values of
very different frequency, such as statuses. For a rare status it would scan the whole list, and it
cannot use partial indexes. Nothing else is prepared: a driver that prepares automatically
deallocates all statements of a connection after a ROLLBACK TO SAVEPOINT.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import msgspec
from django.conf import settings
from django.core.exceptions import EmptyResultSet
from django.db import DatabaseError, connection
from django.db.models import QuerySet
from psycopg.pq import Format
from psycopg.types.json import set_json_loads

from oms.db.libpq import STALE, RoundTrip, Rows
from oms.db.postgresql.base import answer_seconds

# The address of an order took 4 µs by the standard library, a sixth of a page of them; takes 0.5.
set_json_loads(msgspec.json.decode)

R = TypeVar("R")
# A class of typing.NamedTuple.
Row = TypeVar("Row", bound=tuple[Any, ...])
# Makes a row of a tuple of values, as `_make` of a named tuple does.
Make = Callable[[tuple[Any, ...]], R]


class Result(Generic[R]):
    """The result of a statement of a pipeline; reading it sends the queued statements."""

    def __init__(
        self,
        statement: str,
        parameters: Sequence[Any],
        *,
        make: Make[R] | None = None,
        prepared: bool = True,
        pipeline: Pipeline | None = None,
    ) -> None:
        self.statement, self.parameters, self.prepared = statement, parameters, prepared
        self._make, self._pipeline = make, pipeline
        self._values: Rows | None = None
        self._load: Callable[[], Rows] | None = None
        self._count = 0

    def receive(self, load: Callable[[], Rows], *, count: int) -> None:
        """Note how to load the rows, and how many were found or changed."""
        self._load, self._count = load, count

    def rows(self) -> list[R]:
        """The rows found, as `make` makes them; by default tuples of values."""
        self._settle()
        if self._values is None:
            assert self._load is not None
            self._values = self._load()
        return list(map(self._make, self._values)) if self._make else self._values  # type: ignore[return-value]  # tuples where there is no `make`

    def count(self) -> int:
        """The number of rows found or changed."""
        self._settle()
        return self._count

    def _settle(self) -> None:
        if self._load is None and self._pipeline is not None:
            self._pipeline.settle()
        if self._load is None:
            raise RuntimeError("The statement has not run: one before it in the pipeline failed.")


class Pipeline:
    """Queued statements share one round trip, sent when a result is needed or the block ends.

    What fails is raised then, and the statements after it have not run. Statements of cursors do
    not wait for queued ones; between `send` and the next result no cursor may be used.

    A block belongs inside the transaction's, so that what fails late is raised before the commit.
    The server may take settings.DB_ANSWER_TIMEOUT_MS for each answer, or what is left of the
    deadline.
    """

    def __init__(self) -> None:
        self._queued: list[Result[Any]] = []
        self._writes: list[tuple[str, Sequence[Any]]] = []
        self._in_flight: RoundTrip | None = None

    def __enter__(self) -> Self:
        # As a cursor of Django's does: a connection may have been lost since its last use.
        connection.close_if_health_check_failed()
        connection.ensure_connection()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                self.send()
                self._receive()
        finally:
            # The connection is left in order for the rollback.
            self._queued, self._writes = [], []
            with suppress(DatabaseError):  # it follows from what has already been raised
                self._receive()

    def query(
        self,
        statement: str,
        parameters: Sequence[Any] = (),
        *,
        make: Make[R] | None = None,
        prepared: bool = True,
    ) -> Result[Any]:
        """Queue a statement with `%s` for each parameter.

        Without `prepared` it is planned for these parameters.
        """
        result = Result(statement, parameters, make=make, prepared=prepared, pipeline=self)
        if connection.execute_wrappers or connection.queries_logged:
            # A deadline or a test that watches statements sees each of them.
            self.settle()
            _execute_by_cursor(result)
        else:
            self._queued.append(result)
        return result

    def query_set(self, queryset: QuerySet[Any], row: Any) -> Result[Any]:
        """Queue the reading of `queryset`, whose fields, annotations among them, are those of the
        named tuple `row`. It is planned for the queryset's values."""
        try:
            sql, params = queryset.values_list(*row._fields).query.sql_with_params()
        except EmptyResultSet:  # such as of a condition that holds for nothing
            nothing: Result[Any] = Result("", ())
            nothing.receive(list, count=0)
            return nothing
        return self.query(sql, params, make=row._make, prepared=False)

    def write(self, statement: str, parameters: Sequence[Any]) -> None:
        """Queue a statement that changes rows and returns none.

        All writes of a pipeline are sent as one statement, at `send` or at the end of the block. So
        none may need what another writes: all see the tables as they were before, and no order
        among them is guaranteed (PostgreSQL, "Data-Modifying Statements in WITH").
        """
        self._writes.append((statement, parameters))

    def send(self) -> None:
        """Send everything queued without waiting for the results."""
        writes, self._writes = self._writes, []
        if writes:
            self.query(
                _as_one(tuple(statement for statement, _ in writes)),
                [parameter for _, parameters in writes for parameter in parameters],
            )
        self._send_queries()

    def settle(self) -> None:
        """Send what is queued but for writes, and wait for the results."""
        self._send_queries()
        self._receive()

    def _send_queries(self) -> None:
        self._receive()
        queued, self._queued = self._queued, []
        if queued:
            connection.validate_no_broken_transaction()
            with connection.wrap_database_errors:
                self._in_flight = RoundTrip(
                    connection.connection, queued, answer_timeout_ms=_answer_timeout_ms()
                )
                self._in_flight.send()

    def _receive(self) -> None:
        in_flight, self._in_flight = self._in_flight, None
        if in_flight is not None:
            with connection.wrap_database_errors:
                in_flight.receive()


def _answer_timeout_ms() -> int:
    longest: int = settings.DB_ANSWER_TIMEOUT_MS
    seconds = answer_seconds()
    return longest if seconds is None else min(longest, math.ceil(seconds * 1000))


def execute(
    statement: str,
    parameters: Sequence[Any] = (),
    *,
    make: Make[R] | None = None,
    prepared: bool = True,
    pipeline: Pipeline | None = None,
) -> Result[Any]:
    """Run a statement by itself, or queue it in `pipeline`."""
    if pipeline is not None:
        return pipeline.query(statement, parameters, make=make, prepared=prepared)
    try:
        return _execute_alone(statement, parameters, make=make, prepared=prepared)
    except DatabaseError as error:
        if connection.in_atomic_block or not isinstance(error.__cause__, STALE):
            raise
        return _execute_alone(statement, parameters, make=make, prepared=prepared)


def rows_of(row: type[Row], queryset: QuerySet[Any]) -> list[Row]:
    """The rows of `queryset` as the named tuple `row`; see `Pipeline.query_set`."""
    with Pipeline() as pipeline:
        return pipeline.query_set(queryset, row).rows()


def _execute_alone(statement: str, parameters: Sequence[Any], **options: Any) -> Result[Any]:
    with Pipeline() as pipeline:
        return pipeline.query(statement, parameters, **options)


@functools.lru_cache(maxsize=256)
def _as_one(statements: tuple[str, ...]) -> str:
    *first, last = statements
    named = ", ".join(f"s{number} AS ({statement})" for number, statement in enumerate(first))
    return f"WITH {named} {last}" if named else last


def _execute_by_cursor(result: Result[Any]) -> None:
    with connection.cursor() as cursor:
        # Of the driver's cursor inside of Django's, for this cursor's life.
        cursor.cursor.format = Format.BINARY
        cursor.execute(result.statement, result.parameters)
        rows = cursor.fetchall() if cursor.description else []
        result.receive(lambda: rows, count=cursor.rowcount)
