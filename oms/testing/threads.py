"""Real threads for tests of races, each with a database connection of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.db import connection

R = TypeVar("R")

_SECONDS = 20.0


def at_once(*calls: Callable[[], R]) -> Sequence[R]:
    """The results of `calls`, which start at once, each in its own thread.

    What one of them raises is raised. The test must be a transactional one, for the threads see
    only what is committed.
    """
    start = threading.Barrier(len(calls))

    def run(call: Callable[[], R]) -> R:
        try:
            start.wait(timeout=_SECONDS)
            return call()
        finally:
            connection.close()

    with ThreadPoolExecutor(max_workers=len(calls)) as threads:
        return [
            future.result(timeout=_SECONDS) for future in [threads.submit(run, c) for c in calls]
        ]


def until_somebody_waits_for_a_lock() -> None:
    """Return once a connection to the database waits for a lock of another one."""
    deadline = time.monotonic() + _SECONDS / 2
    with connection.cursor() as cursor:
        while time.monotonic() < deadline:
            cursor.execute("SELECT pg_stat_clear_snapshot()")
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            if cursor.fetchone() != (0,):
                return
            time.sleep(0.02)
    raise AssertionError("Nobody waits for a lock.")
