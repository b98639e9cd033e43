"""The kinds of processes of a running shop, found by their command lines."""

from __future__ import annotations

import contextlib
import signal
from dataclasses import dataclass

import psutil

# A part of the command line of a process that the supervisor started, and the names of it and of
# its children.
_MAINS = {
    "granian": ("web", "web worker"),
    "--hostname worker@": ("worker", "worker child"),
    "--hostname payments@": ("payments", "payments child"),
    "--hostname notifications@": ("notifications", "notifications child"),
    " beat": ("beat", ""),
    "payments.sandbox": ("provider", ""),
    "valkey-server": ("valkey", ""),
    "/bin/postgres": ("postgres", "postgres backend"),
}

KINDS = frozenset(name for names in _MAINS.values() for name in names if name)
"""Every kind of process that `make run` keeps running."""


@dataclass(frozen=True, kw_only=True)
class ShopProcess:
    """One process of a shop; processes are the same if their ids and starts are."""

    kind: str
    pid: int
    started: float

    def is_running(self) -> bool:
        """Whether it has neither ended nor become a zombie."""
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(self.pid)
            return (
                process.create_time() == self.started and process.status() != psutil.STATUS_ZOMBIE
            )
        return False

    def is_stopped(self) -> bool:
        """Whether it exists and has been stopped by a signal."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return self.is_running() and psutil.Process(self.pid).status() == psutil.STATUS_STOPPED
        return False

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if it still runs."""
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(self.pid)
            if process.create_time() == self.started:
                process.send_signal(number)

    def environment(self) -> dict[str, str]:
        return psutil.Process(self.pid).environ()


def processes_below(pid: int) -> list[ShopProcess]:
    """The processes of the shop whose `manage.py up` is process `pid`, mains before children."""
    found = []
    with contextlib.suppress(psutil.NoSuchProcess):
        for main in psutil.Process(pid).children():
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                found += _main_and_children(main)
    return found


def _main_and_children(main: psutil.Process) -> list[ShopProcess]:
    command = " ".join(main.cmdline())
    for mark, (kind, child_kind) in _MAINS.items():
        if mark in command and main.status() != psutil.STATUS_ZOMBIE:
            found = [ShopProcess(kind=kind, pid=main.pid, started=main.create_time())]
            for child in main.children() if child_kind else ():
                with contextlib.suppress(psutil.NoSuchProcess):
                    if _is_work(child, kind=kind):
                        found.append(
                            ShopProcess(kind=child_kind, pid=child.pid, started=child.create_time())
                        )
            return found
    return []


def _is_work(child: psutil.Process, *, kind: str) -> bool:
    if child.status() == psutil.STATUS_ZOMBIE:
        return False
    command = " ".join(child.cmdline())
    if kind == "postgres":
        # Not the checkpointer, the WAL writer and their like: their end is a crash of the server.
        return "[local]" in command or "127.0.0.1" in command
    return "resource_tracker" not in command
