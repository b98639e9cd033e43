"""The database connections of the lane's threads, which no request of Django's looks after."""

from __future__ import annotations

import time
from threading import local

from django.db import connection, reset_queries

# A connection that was not used for longer, in seconds, is tried out first: PostgreSQL may have
# been restarted meanwhile, and the next client should not be the one who finds out.
_TRUSTED = 0.5

_thread = local()


def prepare_connection() -> None:
    """Make this thread's connection ready for a batch; one that is broken is opened anew."""
    reset_queries()  # with DEBUG each statement is remembered
    now = time.monotonic()
    if now - getattr(_thread, "used", 0.0) > _TRUSTED:
        connection.health_check_done = False
        connection.close_if_health_check_failed()
    _thread.used = now


def is_lost() -> bool:
    """Whether there is no connection any more, so that nobody knows what became of a commit."""
    driver = connection.connection
    return driver is None or bool(driver.closed)
