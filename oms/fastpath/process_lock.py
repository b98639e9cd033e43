"""ProcessLock among the web processes of a machine: one of them places at a time.

Two batches of many orders nearly always want some of the same products. So the later one would
wait in the database for the locks of the earlier, with its calls settled; while it waits here for
its turn, more calls join it. The lock only saves work. What must not happen twice is prevented by
the database.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)

# Seconds: who has waited for that long goes ahead without a turn, for the other process may hang.
_PATIENCE = 0.1
_PAUSE = 0.0002

_ending: ContextVar[Callable[[], None] | None] = ContextVar("turn", default=None)


def release_process_lock() -> None:
    """End the turn that this thread has, if it has one, before its block does."""
    end = _ending.get()
    if end is not None:
        _ending.set(None)
        end()


class ProcessLock:
    """ProcessLock among all who name the same folder, which holds two empty files for it.

    They are locked by flock(2), so what a process holds ends with it. Whoever holds the first file
    is the next to have the second: nobody takes two turns while somebody waits for one. Of a
    process one thread may take turns, for its files are locked once. Where there are no such
    folders or locks there are no turns.
    """

    def __init__(self, folder: Path) -> None:
        self._files: tuple[int, ...] = ()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._files = tuple(
                os.open(folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                for name in ("turn-next", "turn-now")
            )
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        log.warning("no_turns", error=str(error))
        self._files = ()

    @contextmanager
    def mine(self) -> Iterator[None]:
        """Wait for the lock, with a bound; released at the end or by `release_process_lock`."""
        held = None
        try:
            held = self._wait() if self._files else None
        except OSError as error:  # such as of a file system without locks
            self._give_up(error)
        end = None if held is None else partial(fcntl.flock, held, fcntl.LOCK_UN)
        token = _ending.set(end)
        try:
            yield
        finally:
            release_process_lock()
            _ending.reset(token)

    def _wait(self) -> int | None:
        following, now = self._files
        until = time.monotonic() + _PATIENCE
        if not _taken(following, until=until):
            return None
        try:
            return now if _taken(now, until=until) else None
        finally:
            fcntl.flock(following, fcntl.LOCK_UN)


def _taken(file: int, *, until: float) -> bool:
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                return False
            time.sleep(_PAUSE)
        else:
            return True
