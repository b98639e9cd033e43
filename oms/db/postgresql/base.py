"""Django's PostgreSQL backend with metrics, and with a bound around every wait for the server.

The server's own timeouts end nothing while it hangs, and TCP's end nothing while its machine
answers. So a request waits no longer than its deadline allows; decision 0019.
"""

from __future__ import annotations

from typing import Any, TypeVar

import psycopg
from django.conf import settings
from django.db.backends.postgresql import base
from django_prometheus.db.backends.postgresql.base import DatabaseWrapper as CountingWrapper

from oms.core.deadline import time_left

R = TypeVar("R")

# Seconds for the test of a connection that was idle.
_TEST_SECONDS = 1.0
# Past the deadline, for the server to cancel a statement and to roll back, which keeps the
# connection.
_GRACE_SECONDS = 0.2


def answer_seconds() -> float | None:
    """Seconds for the next answer of the server; None for commands, whose statements may be long.

    Of a task they are those of its time limit, which Celery forgets when it loses its broker.
    """
    left = time_left()
    if left is None:
        return float(settings.CELERY_TASK_TIME_LIMIT) if settings.DB_STATEMENT_TIMEOUT_MS else None
    longest: int = settings.DB_ANSWER_TIMEOUT_MS
    return min(longest / 1000, left + _GRACE_SECONDS)


class Connection(psycopg.Connection[Any]):
    """A connection that is closed when the server does not answer in time."""

    is_being_tested = False

    def wait(self, gen: Any, *args: Any, **options: Any) -> Any:
        """What `gen` returns; raises OperationalError past the bound, which closes it."""
        seconds = _TEST_SECONDS if self.is_being_tested else answer_seconds()
        if seconds is None or "timeout" in options:
            return super().wait(gen, *args, **options)
        try:
            return super().wait(gen, *args, **{**options, "timeout": seconds})
        except psycopg.errors._WaitTimeout:
            self.close()
            raise psycopg.OperationalError(
                f"PostgreSQL has not answered for {seconds:.1f} s."
            ) from None


class _BoundedWrapper(base.DatabaseWrapper):
    def get_new_connection(self, conn_params: dict[str, Any]) -> Connection:
        self.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
        return Connection.connect(**conn_params)

    def is_usable(self) -> bool:
        """Whether the server answers; tested once for each request, before its first statement."""
        if self.connection is None:
            return False
        self.connection.is_being_tested = True
        try:
            return bool(super().is_usable())
        finally:
            self.connection.is_being_tested = False


class DatabaseWrapper(CountingWrapper, _BoundedWrapper):  # type: ignore[misc]  # it has no types
    """The engine "oms.db.postgresql"."""
