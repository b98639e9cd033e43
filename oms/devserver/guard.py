"""Ends what a process would leave behind if it were killed.

A parent that gets SIGKILL, or crashes, cannot stop its children. So it starts this file as a small
process of its own first, and tells it by a pipe what to end: when the parent is gone, the guard
signals those processes, waits for them, kills the rest, and removes the folders it was given.

It runs as a script, alone: it may import nothing but the standard library.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

_GRACE_SECONDS = 6.0


class Guard:
    """The parent's side: names what must not outlive this process."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__, str(os.getpid())],
            stdin=subprocess.PIPE,
            start_new_session=True,  # the Ctrl-C that ends the parent must not end its guard first
        )

    @property
    def pid(self) -> int:
        """The number of the guard's own process."""
        return self._process.pid

    def watch(self, pid: int, *, ending: signal.Signals, group: bool = False) -> None:
        """End process `pid` (or its process group) by the signal `ending` if this process dies."""
        self._tell(f"watch {-pid if group else pid} {int(ending)}")

    def forget(self, pid: int) -> None:
        """Process `pid` has ended; its number may soon belong to another."""
        self._tell(f"forget {pid}")

    def remove_at_end(self, folder: Path) -> None:
        """Remove `folder` when this process is over, however it ends."""
        self._tell(f"remove {folder}")

    def close(self) -> None:
        """End the guard itself, once nothing is left to watch; ends what is left."""
        self._process.communicate()

    def _tell(self, line: str) -> None:
        pipe = self._process.stdin
        if pipe is None:
            raise RuntimeError("A guard has its pipe from its start.")
        # A guard that somebody killed only means that nobody cleans up after a crash.
        with contextlib.suppress(BrokenPipeError):
            pipe.write(f"{line}\n".encode())
            pipe.flush()


def _alive(target: int) -> bool:
    try:
        if target < 0:
            os.killpg(-target, 0)
        else:
            os.kill(target, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return False  # the number belongs to somebody else by now
    return True


def _send(target: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if target < 0:
            os.killpg(-target, number)
        else:
            os.kill(target, number)


def _listen(parent: int) -> bytes:
    """Everything the parent said until it closed the pipe or died."""
    said = b""
    while True:
        # A forked child of the parent may hold the pipe open, so its end is not sign enough.
        orphaned = os.getppid() != parent
        ready, _, _ = select.select([0], [], [], 0 if orphaned else 0.5)
        if ready:
            data = os.read(0, 65_536)
            if not data:
                return said
            said += data
        elif orphaned:
            return said


def main(parent: int) -> None:
    """Wait for the end of process `parent`, then end and remove what it named."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    endings: dict[int, int] = {}
    folders: list[str] = []
    for line in _listen(parent).decode().splitlines():
        order, _, rest = line.partition(" ")
        if order == "watch":
            process, number = rest.split(" ")
            endings[int(process)] = int(number)
        elif order == "forget":
            endings.pop(int(rest), None)
            endings.pop(-int(rest), None)
        elif order == "remove":
            folders.append(rest)

    for target, ending in endings.items():
        _send(target, ending)
    deadline = time.monotonic() + _GRACE_SECONDS
    while any(_alive(target) for target in endings) and time.monotonic() < deadline:
        time.sleep(0.05)
    for target in filter(_alive, endings):
        _send(target, signal.SIGKILL)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
