"""CPU time of process trees, and of PostgreSQL backends by their client."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import psutil

from benchmarks.servers import Connection

_INTERVAL = 0.5
_BACKENDS = """
    SELECT pid, application_name FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name <> ''
"""


def cpu_seconds(process_ids: Mapping[str, int]) -> dict[str, float]:
    """User and system time of each process and all its descendants, in seconds.

    A process that has ended counts with the parent that waited for it.
    """
    return {name: _tree_seconds(pid) for name, pid in process_ids.items()}


def _tree_seconds(pid: int) -> float:
    root = psutil.Process(pid)
    total = 0.0
    for process in [root, *root.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


@contextmanager
def backend_cpu_seconds(connection: Connection) -> Iterator[Callable[[], dict[str, float]]]:
    """Sample the backends of the connection's database twice a second while the block runs.

    Yields a function that returns the CPU seconds since the start by application name, such as
    {"pg web": 1.5}. What a backend uses between its last sample and its end is not counted.
    """
    first: dict[int, float] = {}
    latest: dict[int, tuple[str, float]] = {}
    stopping = threading.Event()

    def sample() -> None:
        for pid, name in connection.execute(_BACKENDS).fetchall():
            with contextlib.suppress(psutil.NoSuchProcess):
                times = psutil.Process(pid).cpu_times()
                latest[pid] = (name, times.user + times.system)

    def watch() -> None:
        while not stopping.wait(_INTERVAL):
            sample()

    def seconds() -> dict[str, float]:
        spent: dict[str, float] = {}
        for pid, (name, used) in list(latest.items()):
            spent[f"pg {name}"] = spent.get(f"pg {name}", 0.0) + used - first.get(pid, 0.0)
        return spent

    sample()
    first.update({pid: used for pid, (_, used) in latest.items()})
    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield seconds
    finally:
        stopping.set()
        thread.join()
        connection.close()
