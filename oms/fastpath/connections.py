"""The database connections of the lane's threads, which no request of Django's looks after."""

from __future__ import annotations

import time
from threading import local
from typing import Any

import structlog
from django.db import connection, reset_queries

from oms.http.problems import problem_of

log = structlog.get_logger(__name__)

# A connection that was not used for longer, in seconds, is tried out first: PostgreSQL may have
# been restarted meanwhile, and the next client should not be the one who finds out.
_TRUSTED = 0.5

_thread = local()


def prepare_connection() -> None:
    """Make this thread's connection ready for a batch; one that is broken is opened anew."""
    reset_queries()  # with DEBUG each statement is remembered
    now = time.monotonic()
    # Not by Django's own check, which leaves the connections of a pool alone.
    if now - getattr(_thread, "used", 0.0) > _TRUSTED and not connection.is_usable():
        connection.close()
    _thread.used = now


def opened_connection() -> Any:
    """The driver's connection of this thread, opened if need be. Raises OperationalError."""
    connection.ensure_connection()
    return connection.connection


def is_lost(before: Any) -> bool:
    """Whether `before`, the driver's connection, was lost, so that a commit may or may not be.

    After an error Django may have opened a new one by itself.
    """
    return before is None or connection.connection is not before or bool(before.closed)


def log_failure(error: Exception, *, calls: int) -> None:
    """Write to the log that a batch of that many calls failed; with the traceback of a bug."""
    is_bug = problem_of(error) is None
    log.warning(
        "batch_failed", calls=calls, error=type(error).__name__, exc_info=error if is_bug else None
    )
