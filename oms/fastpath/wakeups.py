"""Sending wake-ups from a thread of its own, so that no batch waits for the broker."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Condition, Thread

import structlog

from oms.queue.wakeups import wake

log = structlog.get_logger(__name__)

# Between two rounds, in seconds: wake-ups in between are sent as one.
_PAUSE = 0.05


class WakeUpSender:
    """Sends the wake-ups of Celery tasks soon, those of one task together."""

    def __init__(self, send: Callable[[str], None] = wake) -> None:
        self._send = send
        self._tasks: set[str] = set()
        self._changed = Condition()
        self._closing = False
        self._thread = Thread(target=self._run, name="wake-ups", daemon=True)
        self._thread.start()

    def wake(self, task: str) -> None:
        """Wake the task soon."""
        with self._changed:
            self._tasks.add(task)
            self._changed.notify()

    def close(self) -> None:
        """Send what is left, and end the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._tasks or self._closing)
                tasks, self._tasks = self._tasks, set()
                closing = self._closing
            for task in sorted(tasks):
                try:
                    self._send(task)
                except Exception:  # the thread must continue; the schedule wakes the task anyway
                    log.exception("wake_up_failed", task=task)
            if closing:
                return
            time.sleep(_PAUSE)
