"""Celery's worker and scheduler as the shop runs them: they outlive their broker, and show it."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import celery.beat
import celery.worker.consumer
import structlog
from celery.bootsteps import RUN  # type: ignore[attr-defined]  # missing in its stubs
from celery.signals import worker_shutting_down
from celery.worker.state import maybe_shutdown
from django.conf import settings
from kombu import Connection

from oms.core.liveness import HEARTBEAT_SECONDS, beat

log = structlog.get_logger(__name__)


class Consumer(celery.worker.consumer.Consumer):
    """The part of a worker that receives messages."""

    def register_with_event_loop(self, hub: Any) -> None:
        # With each connection: Celery clears all timers when it loses one.
        super().register_with_event_loop(hub)
        hub.call_repeatedly(HEARTBEAT_SECONDS, self._beat, hub, frozenset(hub.on_tick))

    def _beat(self, hub: Any, polling: frozenset[Callable[[], None]]) -> None:
        """Give a sign of life. ConnectionError if the worker polls its queues no more.

        Kombu stops polling when any connection to the broker breaks, and relies on an error that
        makes Celery connect again: there is none if redis-py repairs the connection by itself.
        """
        beat(settings.RUN_DIR)
        if self.blueprint.state == RUN and not polling <= hub.on_tick:
            raise ConnectionError("The queues are not polled any more.")

    def ensure_connected(self, conn: Connection) -> Connection:
        return super().ensure_connected(_connected(conn, while_waiting=maybe_shutdown))


@worker_shutting_down.connect
def end_in_time(**arguments: Any) -> None:
    """From SIGTERM on: let running tasks finish, for the time of the setting; then end.

    After a warm shutdown Celery may wait half a minute more for tasks that have finished (billiard,
    `_ensure_messages_consumed`), and its soft shutdown (`REMAP_SIGTERM`) hangs now and then, since
    all of it runs in a signal handler. The alarm ends the process in any case. No work is lost with
    it: that is in rows under leases.
    """
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, settings.WORKER_SOFT_SHUTDOWN_TIMEOUT)


class Scheduler(celery.beat.Scheduler):
    """Sends the scheduled messages; what it remembers ends with the process."""

    def setup_schedule(self) -> None:
        super().setup_schedule()
        self.merge_inplace(self.app.conf.beat_schedule)

    def tick(self, *arguments: Any, **options: Any) -> float:
        beat(settings.RUN_DIR)
        self._follow_clock()
        return min(float(super().tick(*arguments, **options)), HEARTBEAT_SECONDS)

    def _follow_clock(self) -> None:
        """If the clock was set back, send nothing later than without that."""
        now = self.app.now()
        entries = self.schedule.values()
        later = [entry for entry in entries if entry.last_run_at and entry.last_run_at > now]
        for entry in later:
            entry.last_run_at = now
        if later:
            self._heap = None  # in the order of the former time

    def _ensure_connected(self) -> Connection:
        return _connected(self.connection, while_waiting=lambda: None)


def _connected(connection: Connection, *, while_waiting: Callable[[], None]) -> Connection:
    """The connection once it works, tried every two seconds without end.

    Celery's own pauses grow to half a minute, for which all work would wait although the broker is
    back.
    """

    def wait() -> None:
        beat(settings.RUN_DIR)
        while_waiting()

    def report(error: Exception, pause: float) -> None:
        log.warning("broker_unavailable", error=type(error).__name__)

    return connection.ensure_connection(report, interval_max=0, callback=wait)
