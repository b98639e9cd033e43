"""Runs the processes of the Procfile together.

Reading the Procfile and printing lines with the process's name is left to honcho. Its manager is
not used: it signals whole process groups, which would abort a worker's running tasks, and it does
not notice the end of a process whose children still run.
"""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO

from honcho.colour import get_colours
from honcho.printer import Message, Printer

from oms.devserver.processes import ChildProcesses


@dataclass(frozen=True, kw_only=True)
class Exit:
    """The end of a process; the code is the negated number of the signal that ended it, if any."""

    name: str
    code: int


class Supervisor:
    """Starts processes, prints their output, reports when one ends, and stops them all."""

    def __init__(self, *, children: ChildProcesses, output: IO[str]) -> None:
        self._children = children
        self._printer = Printer(output)
        self._print_lock = threading.Lock()
        self._colours = get_colours()
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._readers: list[threading.Thread] = []

    def start(
        self, name: str, *, command: str, environment: Mapping[str, str], folder: Path
    ) -> None:
        """Start `command`, a shell command line, in `folder`, and print its output under `name`."""
        self._printer.width = max(self._printer.width, len(name))
        process = self._children.start(
            ["sh", "-c", command], cwd=folder, env=dict(environment), stdout=subprocess.PIPE
        )
        self._running[name] = process
        reader = threading.Thread(
            target=self._print_lines,
            args=(name, process.stdout, next(self._colours)),
            daemon=True,
        )
        reader.start()
        self._readers.append(reader)

    def first_exit(self) -> Exit | None:
        """A process that has ended, or None while all still run."""
        for name, process in self._running.items():
            if (code := process.poll()) is not None:
                return Exit(name=name, code=code)
        return None

    def stop(self, *, grace: float) -> None:
        """End all processes by SIGTERM, and what is left after `grace` seconds by SIGKILL."""
        for process in self._running.values():
            process.terminate()
        deadline = time.monotonic() + grace
        for process in self._running.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=max(0.0, deadline - time.monotonic()))
        for process in self._running.values():
            self._children.kill(process)
        self._running.clear()
        for reader in self._readers:
            # Their streams are at an end, unless another process holds the writing side open.
            reader.join(timeout=1)
        self._readers.clear()

    def _print_lines(self, name: str, stream: IO[bytes], colour: str) -> None:
        with stream:
            for line in stream:
                now = datetime.now().astimezone()
                message = Message(type="line", data=line, time=now, name=name, colour=colour)
                # Our own output may be closed (`make run | head`). The lines are read all the same,
                # or the process would block at its next one.
                with self._print_lock, contextlib.suppress(OSError):
                    self._printer.write(message)
