"""CPU time of PostgreSQL's backends, by the name of the process that each works for."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import psutil
import psycopg

_EVERY = 0.5
_BACKENDS = """
    SELECT pid, application_name FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name <> ''
"""


class Backends:
    """Looks at the backends of a database twice a second.

    What one does between the last look and its end is lost; the connections of the shop live for
    longer than a bench.
    """

    def __init__(self, connection: psycopg.Connection[tuple[object, ...]]) -> None:
        self._connection = connection
        self._first: dict[int, float] = {}
        self._latest: dict[int, tuple[str, float]] = {}
        self._ending = threading.Event()

    @classmethod
    @contextmanager
    def watched(cls, connection: psycopg.Connection[tuple[object, ...]]) -> Iterator[Backends]:
        """Watch for as long as the block runs, over a connection that is then closed."""
        with closing(connection):
            backends = cls(connection)
            backends._look(is_first=True)
            thread = threading.Thread(target=backends._watch, daemon=True)
            thread.start()
            try:
                yield backends
            finally:
                backends._ending.set()
                thread.join()

    def seconds(self) -> dict[str, float]:
        """The CPU seconds since the beginning, as {"pg web": 1.5, …}."""
        spent: dict[str, float] = {}
        for pid, (name, seconds) in list(self._latest.items()):
            spent[f"pg {name}"] = spent.get(f"pg {name}", 0.0) + seconds - self._first.get(pid, 0.0)
        return spent

    def _watch(self) -> None:
        while not self._ending.wait(_EVERY):
            self._look()

    def _look(self, *, is_first: bool = False) -> None:
        for pid, name in self._connection.execute(_BACKENDS.encode()).fetchall():
            number = int(str(pid))
            with contextlib.suppress(psutil.NoSuchProcess):
                times = psutil.Process(number).cpu_times()
                self._latest[number] = (str(name), times.user + times.system)
                if is_first:
                    self._first[number] = times.user + times.system
