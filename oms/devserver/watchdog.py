"""Finds processes that exist and do nothing: stopped ones, and those without a heartbeat.

A process may prove that it works by touching the file HEARTBEATS/PID every few seconds. Looks are
counted, not seconds: neither a clock that jumps nor a machine that was asleep looks like a hang.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

_STOPPED = -1


@dataclass(frozen=True, kw_only=True)
class Family:
    """A process and all its descendants, as they were at the last look."""

    processes: tuple[psutil.Process, ...] = ()
    """The main process first."""
    frozen: tuple[psutil.Process, ...] = ()

    def end(self, process: psutil.Process) -> None:
        """End a frozen process.

        A descendant that is only stopped is woken to end in an orderly way: a killed backend of
        PostgreSQL would cost the connections of all others.
        """
        with contextlib.suppress(psutil.NoSuchProcess):
            if process == self.processes[0] or process.status() != psutil.STATUS_STOPPED:
                process.kill()
            else:
                process.terminate()
                process.resume()

    def kill_orphans(self) -> None:
        """Kill the descendants, which may have outlived the main process or hold its port."""
        for process in self.processes[1:]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


class Watchdog:
    """Looks at processes again and again, and remembers their signs of life.

    A process is frozen if it was stopped at `stopped_looks` looks in a row, or if its heartbeat was
    the same at `silent_looks` and it slept at all of them: one that waits for the processor of a
    busy machine must not be ended.
    """

    def __init__(self, heartbeats: Path, *, stopped_looks: int = 3, silent_looks: int = 30) -> None:
        self._heartbeats = heartbeats
        self._looks = {True: stopped_looks, False: silent_looks}
        self.signs: dict[str, tuple[int, int]] = {}
        """For each process its last sign of life, and at how many looks in a row it was seen."""

    def look(self, mains: Iterable[int]) -> dict[int, Family]:
        """The families of the given processes, which are children of this one, by process id."""
        parents: dict[int, int] = {}
        families: Mapping[int, list[psutil.Process]] = defaultdict(list)
        wanted = set(mains)
        descendants = psutil.Process().children(recursive=True)
        for process in descendants:
            with contextlib.suppress(psutil.NoSuchProcess):
                parents[process.pid] = process.ppid()
        for process in descendants:
            main = process.pid
            while main not in wanted and main in parents:
                main = parents[main]
            if main == process.pid:
                families[main].insert(0, process)
            elif main in wanted:
                families[main].append(process)
        frozen = set(self.frozen(process for family in families.values() for process in family))
        return {
            pid: Family(
                processes=tuple(family), frozen=tuple(each for each in family if each in frozen)
            )
            for pid, family in families.items()
            if pid in wanted
        }

    def frozen(self, processes: Iterable[psutil.Process]) -> list[psutil.Process]:
        """Those of `processes`, which are all that there are, that are frozen."""
        before, self.signs = self.signs, {}
        found = []
        for process in processes:
            try:
                sign, key = self._sign_of_life(process), f"{process.pid} {process.create_time()}"
            except psutil.NoSuchProcess:
                continue
            if sign is None:
                continue
            last, looks = before.get(key, (None, 0))
            looks = looks + 1 if sign == last else 1
            self.signs[key] = (sign, looks)
            if looks >= self._looks[sign == _STOPPED]:
                found.append(process)
        return found

    def _sign_of_life(self, process: psutil.Process) -> int | None:
        """What changes while the process works; None if nothing is known of it."""
        status = process.status()
        if status == psutil.STATUS_STOPPED:
            return _STOPPED
        if status != psutil.STATUS_SLEEPING:
            return None
        try:
            heartbeat = (self._heartbeats / str(process.pid)).stat()
        except OSError:  # it has given none, or could not
            return None
        # An older one is of an earlier process with this id.
        is_its_own = heartbeat.st_mtime > process.create_time()
        return heartbeat.st_mtime_ns if is_its_own else None
