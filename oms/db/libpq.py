"""A round trip of statements in libpq's pipeline mode, and what is prepared for the next ones."""

from __future__ import annotations

import functools
import re
import select
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import psycopg
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus, Format, TransactionStatus

Rows = list[tuple[Any, ...]]

# Prepared statements that a connection keeps; past that the least recently used one is closed.
_KEPT = 100
_FAILED = (ExecStatus.FATAL_ERROR, ExecStatus.BAD_RESPONSE)

STALE = (psycopg.errors.FeatureNotSupported, psycopg.errors.InvalidSqlStatementName)
"""The errors of a prepared statement whose tables were changed since, or that is gone."""

_numbers = count(1)
# The names of each connection's prepared statements, by text and types of parameters.
_names: WeakKeyDictionary[Any, OrderedDict[Any, bytes]] = WeakKeyDictionary()


class Statement(Protocol):
    """A statement with `%s` for each parameter; `receive` is called with its result."""

    statement: str
    parameters: Sequence[Any]
    prepared: bool

    def receive(self, load: Callable[[], Rows], *, count: int) -> None:
        """Note how to load the rows, and how many were found or changed."""


class RoundTrip:
    """Statements on their way to the server and back.

    Nothing else may use the connection in the block; an exception within it, such as a
    worker's time limit, closes the connection. So does a server that sends nothing for
    `answer_timeout_ms`, which is longer than its own statement_timeout: a hung process or a network
    that drops packets would otherwise block it forever.
    """

    def __init__(
        self, driver: Any, statements: Sequence[Statement], *, answer_timeout_ms: int
    ) -> None:
        self._driver, self._answer_timeout_ms = driver, answer_timeout_ms
        self._libpq = driver.pgconn
        self._poll = select.poll()
        # What receives each of the server's results.
        self._receivers: list[Callable[[Any], None]] = []
        # The names prepared on this trip, which are known to last once it has succeeded.
        self._new_names: dict[Any, bytes] = {}
        # Values that cannot be adapted are refused before anything is sent.
        self._statements = [(one, *self._adapted(one)) for one in statements]

    def _adapted(self, statement: Statement) -> tuple[bytes, Any, Sequence[Any]]:
        numbered = _kept_numbered if statement.prepared else _numbered
        text = numbered(statement.statement, len(statement.parameters))
        transformer: Any = Transformer(self._driver)
        formats = [PyFormat.AUTO] * len(statement.parameters)
        return text, transformer, transformer.dump_sequence(statement.parameters, formats)

    def send(self) -> None:
        with self._closing_on_escape():
            self._poll.register(self._libpq.socket, select.POLLIN | select.POLLOUT)
            self._libpq.enter_pipeline_mode()
            if self._libpq.transaction_status == TransactionStatus.IDLE and (
                not self._driver.autocommit
            ):
                # The driver would add its options for it, of which the settings have none.
                self._libpq.send_query_params(b"BEGIN", None)
                self._receivers.append(_ignore)
            for statement in self._statements:
                self._send(*statement)
            self._libpq.pipeline_sync()
            while self._libpq.flush():
                if self._wait() & select.POLLIN:
                    self._libpq.consume_input()
            self._poll.modify(self._libpq.socket, select.POLLIN)

    def _send(
        self, statement: Statement, text: bytes, transformer: Any, parameters: Sequence[Any]
    ) -> None:
        types, formats = transformer.types, transformer.formats
        if statement.prepared:
            name = self._prepared(text, types)
            self._libpq.send_query_prepared(name, parameters, formats, Format.BINARY)
        else:
            self._libpq.send_query_params(text, parameters, types, formats, Format.BINARY)
        self._receivers.append(functools.partial(_receive, statement, transformer))

    def _prepared(self, text: bytes, types: Sequence[int] | None) -> bytes:
        names = _names.setdefault(self._driver, OrderedDict())
        key = text, types
        if key in names:
            names.move_to_end(key)
            return names[key]
        if key in self._new_names:
            return self._new_names[key]
        name = self._new_names[key] = b"oms_%d" % next(_numbers)
        self._libpq.send_prepare(name, text, types)
        self._receivers.append(lambda _: names.update({key: name}))
        while len(names) >= _KEPT:
            _, oldest = names.popitem(last=False)
            self._libpq.send_close_prepared(oldest)
            self._receivers.append(_ignore)
        return name

    def receive(self) -> None:
        """Pass each statement its result. Raises the error of the first that failed."""
        failed = None
        with self._closing_on_escape():
            for receive in self._receivers:
                result = self._next_result()
                if result.status in _FAILED:
                    failed = failed or result
                elif result.status != ExecStatus.PIPELINE_ABORTED:
                    receive(result)
                if self._next_result() is not None:
                    raise psycopg.InternalError("A statement has two results.")
            self._next_result()  # to the end of the pipeline
            self._libpq.exit_pipeline_mode()
        if failed is not None:
            error = error_from_result(failed, encoding=self._driver.info.encoding)
            if isinstance(error, STALE):
                _names.pop(self._driver, None)
            raise error

    def _next_result(self) -> Any:
        while self._libpq.is_busy():
            self._wait()
            self._libpq.consume_input()
        return self._libpq.get_result()

    def _wait(self) -> int:
        """The events of the socket. Raises OperationalError if there is none in time."""
        for _, events in self._poll.poll(self._answer_timeout_ms):
            return events
        raise psycopg.OperationalError(
            f"PostgreSQL has not answered for {self._answer_timeout_ms} ms."
        )

    @contextmanager
    def _closing_on_escape(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._driver.close()
            raise


def _ignore(result: Any) -> None:
    """The result of a statement of our own, which has no rows."""


def _receive(statement: Statement, transformer: Any, result: Any) -> None:
    statement.receive(
        functools.partial(_load, transformer, result), count=result.command_tuples or 0
    )


def _load(transformer: Any, result: Any) -> Rows:
    transformer.set_pgresult(result, format=Format.BINARY)
    rows: Rows = transformer.load_rows(0, result.ntuples, tuple)
    return rows


def _numbered(statement: str, parameters: int) -> bytes:
    """The statement as the server reads it, with $1 for the first `%s`."""
    numbers = count(1)
    text = re.sub("%[s%]", lambda m: "%" if m[0] == "%%" else f"${next(numbers)}", statement)
    if next(numbers) != parameters + 1:
        raise ValueError(f"{parameters} parameters for another number of places: {statement}")
    return text.encode()


# Of those that are prepared only: others may be as many, and as long, as their lists of values.
_kept_numbered = functools.lru_cache(maxsize=256)(_numbered)
