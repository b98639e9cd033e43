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

# Prepared statements that a connection keeps; of more the one that was not used for longest goes.
_KEPT = 100
_FAILED = (ExecStatus.FATAL_ERROR, ExecStatus.BAD_RESPONSE)

STALE = (psycopg.errors.FeatureNotSupported, psycopg.errors.InvalidSqlStatementName)
"""What a prepared statement is answered whose tables were changed since, or that is gone."""

_numbers = count(1)
# The names of each connection's prepared statements, by text and types of parameters.
_names: WeakKeyDictionary[Any, OrderedDict[Any, bytes]] = WeakKeyDictionary()


class Statement(Protocol):
    """A statement with `%s` for each parameter; `answer` is told what it did."""

    statement: str
    parameters: Sequence[Any]
    prepared: bool

    def answer(self, rows: Callable[[], Rows] | Rows, *, count: int) -> None:
        """Note the rows that it found, or how to load them, and how many it found or changed."""


class RoundTrip:
    """Statements on their way to the server and back.

    Nothing but its answers may be expected of the connection meanwhile; an exception out of the
    middle of it, such as a worker's time limit, costs the connection.
    """

    def __init__(self, driver: Any, asked: Sequence[Statement]) -> None:
        self._driver, self._asked = driver, asked
        self._libpq = driver.pgconn
        self._poll = select.poll()
        # What takes each of the server's answers.
        self._takers: list[Callable[[Any], None]] = []
        # The names of what is prepared on this way, which are known to last once it has succeeded.
        self._made: dict[Any, bytes] = {}
        # Whatever is not in order is refused before anything is sent.
        self._statements = [self._adapted(one) for one in asked]

    def _adapted(self, asked: Statement) -> tuple[bytes, Any, Sequence[Any]]:
        numbered = _kept_numbered if asked.prepared else _numbered
        text = numbered(asked.statement, len(asked.parameters))
        transformer: Any = Transformer(self._driver)
        formats = [PyFormat.AUTO] * len(asked.parameters)
        return text, transformer, transformer.dump_sequence(asked.parameters, formats)

    def send(self) -> None:
        with self._closing_on_escape():
            self._poll.register(self._libpq.socket, select.POLLIN | select.POLLOUT)
            self._libpq.enter_pipeline_mode()
            if self._libpq.transaction_status == TransactionStatus.IDLE and (
                not self._driver.autocommit
            ):
                # The driver would add its options for it, of which the settings have none.
                self._libpq.send_query_params(b"BEGIN", None)
                self._takers.append(_ignore)
            for asked, statement in zip(self._asked, self._statements, strict=True):
                self._send(asked, *statement)
            self._libpq.pipeline_sync()
            while self._libpq.flush():
                if any(event & select.POLLIN for _, event in self._poll.poll()):
                    self._libpq.consume_input()
            self._poll.modify(self._libpq.socket, select.POLLIN)

    def _send(
        self, asked: Statement, text: bytes, transformer: Any, parameters: Sequence[Any]
    ) -> None:
        types, formats = transformer.types, transformer.formats
        if asked.prepared:
            name = self._prepared(text, types)
            self._libpq.send_query_prepared(name, parameters, formats, Format.BINARY)
        else:
            self._libpq.send_query_params(text, parameters, types, formats, Format.BINARY)
        self._takers.append(functools.partial(_take, asked, transformer))

    def _prepared(self, text: bytes, types: Sequence[int] | None) -> bytes:
        names = _names.setdefault(self._driver, OrderedDict())
        key = text, types
        if key in names:
            names.move_to_end(key)
            return names[key]
        if key in self._made:
            return self._made[key]
        name = self._made[key] = b"oms_%d" % next(_numbers)
        self._libpq.send_prepare(name, text, types)
        self._takers.append(lambda _: names.update({key: name}))
        while len(names) >= _KEPT:
            _, oldest = names.popitem(last=False)
            self._libpq.send_close_prepared(oldest)
            self._takers.append(_ignore)
        return name

    def receive(self) -> None:
        """Hand each statement its answer. Raises what the first that failed was answered."""
        failed = None
        with self._closing_on_escape():
            for take in self._takers:
                result = self._next_result()
                if result.status in _FAILED:
                    failed = failed or result
                elif result.status != ExecStatus.PIPELINE_ABORTED:
                    take(result)
                if self._next_result() is not None:
                    raise psycopg.InternalError("A statement was answered twice.")
            self._next_result()  # to the end of the pipeline
            self._libpq.exit_pipeline_mode()
        if failed is not None:
            error = error_from_result(failed, encoding=self._driver.info.encoding)
            if isinstance(error, STALE):
                _names.pop(self._driver, None)
            raise error

    def _next_result(self) -> Any:
        while self._libpq.is_busy():
            self._poll.poll()
            self._libpq.consume_input()
        return self._libpq.get_result()

    @contextmanager
    def _closing_on_escape(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._driver.close()
            raise


def _ignore(result: Any) -> None:
    """Take an answer that says nothing."""


def _take(asked: Statement, transformer: Any, result: Any) -> None:
    def rows() -> Rows:
        transformer.set_pgresult(result, format=Format.BINARY)
        loaded: Rows = transformer.load_rows(0, result.ntuples, tuple)
        return loaded

    asked.answer(rows, count=result.command_tuples or 0)


def _numbered(statement: str, parameters: int) -> bytes:
    """The statement as the server reads it, with $1 for the first `%s`."""
    numbers = count(1)
    text = re.sub("%[s%]", lambda m: "%" if m[0] == "%%" else f"${next(numbers)}", statement)
    if next(numbers) != parameters + 1:
        raise ValueError(f"{parameters} parameters for another number of places: {statement}")
    return text.encode()


# Of those that are prepared only: others may be as many, and as long, as their lists of values.
_kept_numbered = functools.lru_cache(maxsize=256)(_numbered)
