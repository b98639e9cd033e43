"""Runs the processes of the Procfile together: they start as one, and stop as one.

Reading the Procfile and printing the prefixed lines is honcho's. Its manager is not used: it
signals whole process groups, which would break off a worker's running tasks, and it does not notice
the end of a process whose children live on.
"""

from __future__ import annotations

import contextlib
import os
import signal
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

from oms.devserver import Guard

_LOOK_EVERY_SECONDS = 0.1


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A process that ended by itself."""

    name: str
    exit_code: int
    """The code, or the negated number of the signal that ended it."""


class Supervisor:
    """Starts processes, shows what they say, notices when one ends, and stops them all."""

    def __init__(self, *, guard: Guard, output: IO[str]) -> None:
        self._guard = guard
        self._printer = Printer(output)
        self._print_lock = threading.Lock()
        self._colours = get_colours()
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._readers: list[threading.Thread] = []

    def start(
        self, name: str, *, command: str, environment: Mapping[str, str], folder: Path
    ) -> None:
        """Start `command`, a line for the shell, in `folder`, and show its output under `name`."""
        self._printer.width = max(self._printer.width, len(name))
        process = subprocess.Popen(
            ["sh", "-c", command],
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # Ctrl-C in the terminal must reach only us: we stop them in our way.
            start_new_session=True,
        )
        self._guard.watch(process.pid, ending=signal.SIGTERM, group=True)
        self._running[name] = process
        reader = threading.Thread(
            target=self._show, args=(name, process.stdout, next(self._colours)), daemon=True
        )
        reader.start()
        self._readers.append(reader)

    def wait(self, *, seconds: float) -> Ended | None:
        """The first process that ends within `seconds`, or None if all still run."""
        deadline = time.monotonic() + seconds
        while True:
            for name, process in self._running.items():
                if (code := process.poll()) is not None:
                    return Ended(name=name, exit_code=code)
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            time.sleep(min(left, _LOOK_EVERY_SECONDS))

    def stop(self, *, grace: float) -> None:
        """End all processes by SIGTERM, and what is left after `grace` seconds by SIGKILL."""
        for process in self._running.values():
            if process.poll() is None:
                process.terminate()
        deadline = time.monotonic() + grace
        for process in self._running.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=max(0.0, deadline - time.monotonic()))
        for process in self._running.values():
            # Also where the process itself has ended: children may have outlived it.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            self._guard.forget(process.pid)
        self._running.clear()
        for reader in self._readers:
            # Their streams are at the end now, unless somebody else took over the writing side.
            reader.join(timeout=1)
        self._readers.clear()

    def _show(self, name: str, stream: IO[bytes], colour: str) -> None:
        with stream:
            for line in stream:
                now = datetime.now().astimezone()
                message = Message(type="line", data=line, time=now, name=name, colour=colour)
                # Whoever read what we show may be gone (`make run | head`). The lines are still
                # taken from the process, or it would wait for ever to write the next one.
                with self._print_lock, contextlib.suppress(OSError):
                    self._printer.write(message)
