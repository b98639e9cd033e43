"""A lock among the web processes of a machine: one of them places orders at a time.

Two batches of many orders nearly always need some of the same products. So the later one would wait
in the database for the locks of the earlier, with its calls fixed; while it waits for this lock,
more calls join it. The lock only saves work. Correctness depends on the
database alone.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)

# Seconds after which a process continues without the lock, because the other may hang.
_PATIENCE = 0.1
_PAUSE = 0.0002


class HeldLock:
    """The lock while its block runs; it may be released before. `file` is None without a lock."""

    def __init__(self, file: int | None) -> None:
        self._file = file

    def release(self) -> None:
        """Let the next process in; does nothing if it was released before."""
        file, self._file = self._file, None
        if file is not None:
            fcntl.flock(file, fcntl.LOCK_UN)


class ProcessLock:
    """The lock among all who name the same folder, which holds two empty files for it.

    They are locked by flock(2), so they are released when the process ends. The holder of the first
    file gets the second one next, so no process gets the lock twice while another waits. Only one
    thread of a process may use it, because files are locked once per process. Without a writable
    folder or file locks no process waits.
    """

    def __init__(self, folder: Path) -> None:
        self._files: tuple[int, ...] = ()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._files = tuple(
                os.open(folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                for name in ("next", "now")
            )
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        log.warning("no_process_lock", error=str(error))
        self._files = ()

    @contextmanager
    def hold(self) -> Iterator[HeldLock]:
        """Wait for the lock, with a bound; it is released at the end of the block at last."""
        file = None
        try:
            file = self._wait() if self._files else None
        except OSError as error:  # such as of a file system without locks
            self._give_up(error)
        held = HeldLock(file)
        try:
            yield held
        finally:
            held.release()

    def _wait(self) -> int | None:
        following, now = self._files
        until = time.monotonic() + _PATIENCE
        if not _locked(following, until=until):
            return None
        try:
            return now if _locked(now, until=until) else None
        finally:
            fcntl.flock(following, fcntl.LOCK_UN)


def _locked(file: int, *, until: float) -> bool:
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                return False
            time.sleep(_PAUSE)
        else:
            return True
