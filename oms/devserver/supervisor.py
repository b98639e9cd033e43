"""Runs processes together, and starts again what ends or freezes.

Reading the Procfile and printing lines with the process's name is left to honcho. Its manager is
not used: it signals whole process groups, which would abort a worker's running tasks, it does not
notice the end of a process whose children still run, and it restarts nothing.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from signal import Signals
from typing import IO

import psutil
from honcho.colour import get_colours

from oms.devserver.errors import end_of_log
from oms.devserver.output import Output
from oms.devserver.processes import ChildProcesses, Service
from oms.devserver.watchdog import Family, Watchdog

# Before the first restart in a row; doubled with each further one.
_FIRST_PAUSE = 0.5
# A process that ran for longer had started well.
_SHORT_SECONDS = 60.0
_MAX_SHORT_RUNS = 5
# After a start that the system refused.
_LAUNCH_PAUSE = 2.0
_LAST_LINES = 15
_LOOK_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class Exit:
    """The last end of a process; the code is the negated number of the signal that ended it."""

    name: str
    code: int
    last_words: str


@dataclass(kw_only=True)
class _Member:
    """A process that is kept running."""

    name: str
    launch: Callable[[], subprocess.Popen[bytes]]
    last_words: Callable[[], str]
    process: subprocess.Popen[bytes]
    started: float
    restarts: int = 0
    short_runs: int = 0
    """How often in a row it has ended soon after its start."""
    restart_at: float | None = None
    """Set while it does not run."""


class Supervisor:
    """Starts processes, prints their output, restarts those that end, and stops them all.

    The file `states` always has what `manage.py up` shows at /health/ready, as JSON: for each name
    its status, "ok" or "restarting", and how often it was restarted.
    """

    def __init__(
        self, *, children: ChildProcesses, output: Output, states: Path, heartbeats: Path
    ) -> None:
        self._children = children
        self._output = output
        self._colours: Iterator[str] = get_colours()
        self._states = states
        self._watchdog = Watchdog(heartbeats)
        self._next_look = 0.0
        self._members: dict[str, _Member] = {}
        self._families: dict[int, Family] = {}
        self._readers: dict[str, threading.Thread] = {}

    def start(
        self, name: str, *, command: str, environment: Mapping[str, str], folder: Path
    ) -> None:
        """Keep `command`, a shell command line, running in `folder`; print its output."""
        self._output.leave_room_for(name)
        colour = next(self._colours)
        last_lines: deque[str] = deque(maxlen=_LAST_LINES)

        def launch() -> subprocess.Popen[bytes]:
            process = self._children.start(
                ["sh", "-c", command], cwd=folder, env=dict(environment), stdout=subprocess.PIPE
            )
            assert process.stdout is not None
            reader = threading.Thread(
                target=self._print_lines,
                args=(name, process.stdout, colour, last_lines),
                daemon=True,
            )
            try:
                reader.start()
            except RuntimeError:  # no thread left at the moment
                self._children.kill(process)
                process.stdout.close()
                raise
            self._readers[name] = reader
            return process

        self._add(
            name,
            launch=launch,
            last_words=lambda: "".join(f"    {line}\n" for line in tuple(last_lines)).rstrip(),
            process=launch(),
        )

    def watch(self, name: str, service: Service) -> None:
        """Keep a server running that was started already."""
        self._add(
            name,
            launch=service.start_again,
            last_words=partial(end_of_log, service.log),
            process=service.process,
        )

    def check(self) -> Exit | None:
        """Restart what has ended or is frozen; to be called several times a second.

        Returns the exit of a process that ended five times in a row within a minute of its start;
        it is not started again.
        """
        for member in self._members.values():
            if member.restart_at is not None:
                if time.monotonic() >= member.restart_at:
                    self._restart(member)
            elif (code := member.process.poll()) is not None:
                self._families.get(member.process.pid, Family()).kill_orphans()
                self._children.kill(member.process)
                pause = self._pause_after_end(member)
                if member.short_runs >= _MAX_SHORT_RUNS:
                    return Exit(name=member.name, code=code, last_words=member.last_words())
                member.restart_at = time.monotonic() + pause
                self._report(f"{member.name} {_described(code)}; restarting in {pause:.1f} s")
                self._write_states()
        if time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + _LOOK_SECONDS
            self._end_frozen_processes()
        return None

    def stop(self, *, grace: float) -> None:
        """End the commands by SIGTERM, and what is left after `grace` seconds by SIGKILL.

        Servers that are only watched are left to those that started them.
        """
        running = [self._members[name].process for name in self._readers]
        for process in running:
            process.terminate()
        deadline = time.monotonic() + grace
        for process in running:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=max(0.0, deadline - time.monotonic()))
        for process in running:
            self._children.kill(process)
        for reader in self._readers.values():
            # Their streams are at an end, unless another process holds the writing side open.
            reader.join(timeout=1)
        self._members.clear()
        self._readers.clear()

    def _add(
        self,
        name: str,
        *,
        launch: Callable[[], subprocess.Popen[bytes]],
        last_words: Callable[[], str],
        process: subprocess.Popen[bytes],
    ) -> None:
        self._members[name] = _Member(
            name=name,
            launch=launch,
            last_words=last_words,
            process=process,
            started=time.monotonic(),
        )
        self._write_states()

    def _pause_after_end(self, member: _Member) -> float:
        """Seconds until the restart; counts the end."""
        is_short = time.monotonic() - member.started < _SHORT_SECONDS
        member.short_runs = member.short_runs + 1 if is_short else 0
        return float(_FIRST_PAUSE * 2 ** max(0, member.short_runs - 1))

    def _restart(self, member: _Member) -> None:
        try:
            member.process = member.launch()
        except (OSError, RuntimeError) as error:  # no memory, process or thread left at the moment
            member.restart_at = time.monotonic() + _LAUNCH_PAUSE
            self._report(f"{member.name} cannot be started: {error}")
            return
        member.started, member.restart_at = time.monotonic(), None
        member.restarts += 1
        self._report(f"{member.name} was restarted (process {member.process.pid})")
        self._write_states()

    def _end_frozen_processes(self) -> None:
        mains = {
            member.process.pid: member.name
            for member in self._members.values()
            if member.restart_at is None
        }
        try:
            self._families = self._watchdog.look(mains)
        except (OSError, psutil.Error) as error:  # such as no file descriptor left; it looks again
            self._report(f"cannot look at the processes: {error}")
            return
        for pid, family in self._families.items():
            for process in family.frozen:
                which = "" if process.pid == pid else f" (process {process.pid})"
                self._report(f"{mains[pid]}{which} does not respond; ending it")
                family.end(process)

    def _write_states(self) -> None:
        states = {
            member.name: {
                "status": "ok" if member.restart_at is None else "restarting",
                "restarts": member.restarts,
            }
            for member in self._members.values()
        }
        unfinished = self._states.with_suffix(".unfinished")
        with contextlib.suppress(OSError):  # such as a full disk: only what is shown is stale then
            self._states.parent.mkdir(parents=True, exist_ok=True)
            unfinished.write_text(json.dumps(states))
            unfinished.replace(self._states)

    def _report(self, text: str) -> None:
        self._output.show_line(text.encode(), name="supervisor", colour="1")

    def _print_lines(
        self, name: str, stream: IO[bytes], colour: str, last_lines: deque[str]
    ) -> None:
        with stream:
            for line in stream:
                last_lines.append(line.decode(errors="replace").rstrip())
                self._output.show_line(line, name=name, colour=colour)


def _described(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    return f"was ended by {Signals(-code).name}"
