"""Stops child processes whose parent was killed.

A parent that gets SIGKILL cannot stop its children. `ChildProcesses` therefore runs this file as a
separate process, which reads from a pipe what must not outlive the parent: "watch PID SIGNAL",
"forget PID" and "remove FOLDER", one on each line.

It runs as a script, alone: it may import nothing but the standard library.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import sys
import time

_GRACE_SECONDS = 6.0


def main(parent: int) -> None:
    """Wait for the end of process `parent`; then stop the process groups and remove the folders."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    stop_signals: dict[int, int] = {}
    folders: list[str] = []
    for line in _read_until_orphaned(parent).decode().splitlines():
        match line.split(" ", 1):
            case ["watch", rest]:
                pid, stop_signal = map(int, rest.split())
                stop_signals[pid] = stop_signal
            case ["forget", pid_text]:
                stop_signals.pop(int(pid_text), None)
            case ["remove", folder]:
                folders.append(folder)

    for pid, stop_signal in stop_signals.items():
        _signal_group(pid, stop_signal)
    deadline = time.monotonic() + _GRACE_SECONDS
    while any(_signal_group(pid, 0) for pid in stop_signals) and time.monotonic() < deadline:
        time.sleep(0.05)
    for pid in stop_signals:
        _signal_group(pid, signal.SIGKILL)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def _read_until_orphaned(parent: int) -> bytes:
    """Everything that was written to standard input until the parent closed it or died."""
    received = b""
    while True:
        # A forked child of the parent may hold the pipe open, so its end alone proves nothing.
        is_orphaned = os.getppid() != parent
        ready, _, _ = select.select([0], [], [], 0 if is_orphaned else 0.5)
        if not ready and is_orphaned:
            return received
        if ready:
            data = os.read(0, 65_536)
            if not data:
                return received
            received += data


def _signal_group(pid: int, number: int) -> bool:
    """Send a signal (0 only tests); False if the group is gone or belongs to another user."""
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


if __name__ == "__main__":
    main(int(sys.argv[1]))
