"""The database connections of the fast path's threads, which Django does not manage."""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress
from threading import local
from typing import Any

import psycopg
import structlog
from django.db import connection, connections, reset_queries

from oms.http.problems import problem_of

log = structlog.get_logger(__name__)

# A connection that was not used for longer, in seconds, is tested first: PostgreSQL may have been
# restarted, and the next request should not fail because of that.
TRUSTED_SECONDS = 0.5

_thread = local()


def prepare_connection() -> None:
    """Make this thread's connection ready for a batch; a broken one is closed."""
    reset_queries()  # with DEBUG each statement is remembered
    now = time.monotonic()
    is_old = now - getattr(_thread, "used", 0.0) > TRUSTED_SECONDS
    if is_old and connection.connection is not None and not connection.is_usable():
        connection.close()
    _thread.used = now


def driver_connection() -> Any:
    """The driver's connection of this thread, opened if need be. Raises OperationalError."""
    connection.ensure_connection()
    return connection.connection


def is_lost(before: Any) -> bool:
    """Whether `before`, the driver's connection, was lost, so that a commit may or may not be.

    After an error Django may have opened a new one by itself.
    """
    return before is None or connection.connection is not before or bool(before.closed)


def log_failure(error: Exception, *, calls: int) -> None:
    """Log that a batch of that many calls failed; with the traceback of a bug."""
    is_bug = problem_of(error) is None
    log.warning(
        "batch_failed", calls=calls, error=type(error).__name__, exc_info=error if is_bug else None
    )


class ThreadConnection:
    """The database connection of the thread that makes this, which another thread may cut."""

    def __init__(self) -> None:
        self._connection: Any = connections["default"]

    def close(self) -> None:
        """Close it; to be called by its own thread."""
        self._connection.close()

    def cut(self) -> None:
        """Shut its socket down, so that anything that waits for it fails. Never raises."""
        driver = self._connection.connection
        with (
            suppress(OSError, psycopg.Error, AttributeError),  # it is closed already
            socket.socket(fileno=os.dup(driver.pgconn.socket)) as wire,
        ):
            wire.shutdown(socket.SHUT_RDWR)
