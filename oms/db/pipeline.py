"""Statements straight to libpq, many in one round trip, past the cursors of Django and the driver.

A cursor of Django's takes 60 µs of CPU a statement, the driver's own 40, this 5. The connection and
its transaction are Django's, values are adapted by the driver, and errors are those of both. What
is found arrives in the binary format.

What is asked here is prepared, and nothing else is: a prepared statement's plan in time no longer
sees the values. That is right for `id = …`, and wrong for what is rare or common, as a status is.
Of a million payments a plan for any status walks through the list until it has met a page of it,
which for a rare one is the whole list; nor can it use a partial index. And a driver that prepares
by itself deallocates everybody's statements after a ROLLBACK TO SAVEPOINT.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any

from django.db import DatabaseError, connection
from psycopg.pq import Format

from oms.db.libpq import STALE, RoundTrip, Rows

_open: ContextVar[_Pipeline | None] = ContextVar("pipeline", default=None)


class Asked:
    """A statement that was asked, and what it did once it has run."""

    def __init__(self, statement: str, parameters: Sequence[Any], *, prepared: bool) -> None:
        self.statement, self.parameters, self.prepared = statement, parameters, prepared
        self._rows: Callable[[], Rows] | Rows | None = None
        self._count = 0

    def answer(self, rows: Callable[[], Rows] | Rows, *, count: int) -> None:
        """Note what the statement did."""
        self._rows, self._count = rows, count

    def rows(self) -> Rows:
        """The values of the rows that it found."""
        self._settle()
        if callable(self._rows):
            self._rows = self._rows()
        return self._rows or []

    def count(self) -> int:
        """The number of rows that it found or changed."""
        self._settle()
        return self._count

    def _settle(self) -> None:
        pipeline = _open.get()
        if self._rows is None and pipeline is not None:
            pipeline.settle()
        if self._rows is None:
            raise RuntimeError("The statement has not run: what was asked with it has failed.")


def ask(statement: str, parameters: Sequence[Any] = (), *, prepared: bool = True) -> Asked:
    """Run a statement, with `%s` for each parameter; in a block of `pipelined` at its time.

    Without `prepared` it is planned for these parameters.
    """
    asked = Asked(statement, parameters, prepared=prepared)
    pipeline = _open.get()
    if pipeline is not None:
        pipeline.add(asked)
        return asked
    _connect()
    try:
        _ask_alone(asked)
    except DatabaseError as error:
        if connection.in_atomic_block or not isinstance(error.__cause__, STALE):
            raise
        _ask_alone(asked)  # it is prepared anew
    return asked


def _ask_alone(asked: Asked) -> None:
    alone = _Pipeline()
    alone.add(asked)
    alone.settle()


def _connect() -> None:
    """What a cursor of Django's does first: a connection may have been lost since its last use."""
    connection.close_if_health_check_failed()
    connection.ensure_connection()


@contextmanager
def pipelined() -> Iterator[None]:
    """Send what is asked within when the first answer to it is wanted, or at the end of the block.

    So all of it shares one round trip, and what fails is raised then; whatever follows it has not
    run. Statements of cursors do not wait for what was asked before them.
    """
    if _open.get() is not None:
        yield
        return
    _connect()
    pipeline = _Pipeline()
    token = _open.set(pipeline)
    try:
        yield
        pipeline.settle()
    except BaseException:
        pipeline.abandon()
        raise
    finally:
        _open.reset(token)


def send_asked() -> None:
    """Send what was asked in this block of `pipelined`, and go on while it runs.

    Until it has been answered, at the end of the block at last, no cursor may be used.
    """
    pipeline = _open.get()
    if pipeline is not None:
        pipeline.send()


class _Pipeline:
    """What was asked and is still to be sent, and what was sent and is still to be answered."""

    def __init__(self) -> None:
        self._waiting: list[Asked] = []
        self._under_way: RoundTrip | None = None

    def add(self, asked: Asked) -> None:
        if connection.execute_wrappers or connection.queries_logged:
            # Whoever watches statements, such as a deadline or a test, sees them as ever.
            self.settle()
            _ask_by_cursor(asked)
        else:
            self._waiting.append(asked)

    def send(self) -> None:
        self._receive()
        waiting, self._waiting = self._waiting, []
        if waiting:
            connection.validate_no_broken_transaction()
            with connection.wrap_database_errors:
                self._under_way = RoundTrip(connection.connection, waiting)
                self._under_way.send()

    def settle(self) -> None:
        self.send()
        self._receive()

    def abandon(self) -> None:
        """Leave the connection to whoever undoes the transaction."""
        self._waiting = []
        with suppress(DatabaseError):  # it follows from what has already been raised
            self._receive()

    def _receive(self) -> None:
        under_way, self._under_way = self._under_way, None
        if under_way is not None:
            with connection.wrap_database_errors:
                under_way.receive()


def _ask_by_cursor(asked: Asked) -> None:
    with connection.cursor() as cursor:
        # Of the driver's cursor inside of Django's, for this cursor's life.
        cursor.cursor.format = Format.BINARY
        cursor.execute(asked.statement, asked.parameters)
        rows = cursor.fetchall() if cursor.description else []
        asked.answer(rows, count=cursor.rowcount)
