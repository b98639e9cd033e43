"""The database servers of a benchmark run, separate from any other shop on the machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import psycopg
from rich.console import Console

from oms.devserver.errors import DevServerError
from oms.devserver.ports import free_port
from oms.devserver.postgres import local_postgres
from oms.devserver.processes import ChildProcesses
from oms.devserver.valkey import local_valkey

ROOT = Path(__file__).resolve().parent.parent

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Connection = psycopg.Connection[tuple[Any, ...]]


class BenchError(Exception):
    """The run cannot continue; the message is shown in the terminal."""


class Servers:
    """PostgreSQL, whose data stay in var/bench from run to run, and an empty Valkey.

    Both stop when `cleanup` is closed, or when this process dies.
    """

    folder = ROOT / "var" / "bench"

    def __init__(self, *, cleanup: ExitStack) -> None:
        self.children = ChildProcesses()
        cleanup.callback(self.children.close)
        logs = self.folder / "log"
        start_postgres = partial(
            local_postgres,
            data=self.folder / "postgres",
            log=logs / "postgres.log",
            children=self.children,
        )
        with start_postgres() as self._postgres, self.connect() as connection:
            connection.execute("ALTER SYSTEM SET shared_preload_libraries = pg_stat_statements")
            connection.execute("ALTER SYSTEM SET pg_stat_statements.track = none")
        # The library is only loaded at the start of the server.
        self._postgres = cleanup.enter_context(start_postgres())
        with self.connect() as connection:
            connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        self._valkey = cleanup.enter_context(
            local_valkey(
                data=self.folder / "valkey",
                log=logs / "valkey.log",
                port=free_port(),
                children=self.children,
                durable=False,
            )
        )

    def database_url(self, name: str) -> str:
        """DATABASE_URL of the named database."""
        return self._postgres.url.replace("/oms?", f"/{name}?")

    def redis_url(self, number: int) -> str:
        """REDIS_URL of the numbered Valkey database."""
        return self._valkey.url.removesuffix("0") + str(number)

    def process_ids(self) -> dict[str, int]:
        """The main process of each server by name."""
        return {"postgres": self._postgres.pid, "valkey": self._valkey.pid}

    def connect(self, database: str = "postgres") -> Connection:
        """An autocommit connection."""
        return psycopg.connect(self.database_url(database), autocommit=True)

    def create_database(self, name: str, *, template: str | None = None) -> None:
        """Create the database, replacing one of that name; nobody may use `template` meanwhile."""
        copied = f" TEMPLATE {template}" if template else ""
        self.drop_database(name)
        with self.connect() as connection:
            connection.execute(f"CREATE DATABASE {name}{copied}".encode())

    def drop_database(self, name: str) -> None:
        """Drop the database if it exists, closing its connections."""
        with self.connect() as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())


def run_with_servers(work: Callable[[Servers, Console, ExitStack], int]) -> int:
    """The exit code of `work`, which gets running servers; stops everything afterwards.

    130 if interrupted, 1 if `work` raises BenchError.
    """
    # Wide enough for the table even without a terminal.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 150)
    _exit_on_signals()
    load = os.getloadavg()[0]
    if load > 0.3 * len(os.sched_getaffinity(0)):
        console.print(
            f"Load average {load:.1f}: other processes use this machine, rates will be low.",
            style="bold yellow",
        )
    try:
        with ExitStack() as cleanup:
            console.print("Starting PostgreSQL and Valkey …")
            return work(Servers(cleanup=cleanup), console, cleanup)
    except KeyboardInterrupt:
        console.print("Stopped.")
        return 130
    except (BenchError, DevServerError) as error:
        console.print(str(error), style="bold red", markup=False)
        return 1


def _exit_on_signals() -> None:
    """Turn the first stop signal into KeyboardInterrupt, and ignore later ones."""

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        for ignored in _SIGNALS:
            signal.signal(ignored, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in _SIGNALS:
        signal.signal(number, interrupt)


def commit_of(folder: Path) -> str:
    """The commit of a checkout, with "-dirty" if it was changed since."""
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or "unknown"
