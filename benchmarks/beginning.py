"""What every command of the bench begins with: its servers, a stocked database, and an end."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import django
from django.core.management import call_command
from django.db import connections
from rich.console import Console

from benchmarks.machine import BenchError, Servers, production_secrets
from oms.devserver import EmbeddedServiceError, Guard

if TYPE_CHECKING:
    from benchmarks.stocking import Stock

STOCKED = "stocked"
_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_FOR_COMMANDS = {
    "DB_STATEMENT_TIMEOUT_MS": "0",
    "DB_IDLE_IN_TRANSACTION_TIMEOUT_MS": "0",
    "LOG_LEVEL": "WARNING",
}


@dataclass(frozen=True, kw_only=True)
class Beginning:
    """Servers with the stocked database, which nobody is connected to, and what runs on copies.

    `settings` are the environment variables of a shop, `outside` the environment of the bench.
    """

    servers: Servers
    stock: Stock
    settings: Mapping[str, str]
    outside: Mapping[str, str]


def run(work: Callable[[Console, ExitStack], int]) -> int:
    """The exit code of `work`, which may be interrupted and fail; all that it started ends."""
    # Wide enough for the table also where there is no terminal.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 132)
    for number in _STOPPING:
        signal.signal(number, _interrupt)
    load = os.getloadavg()[0]
    if load > 0.3 * len(os.sched_getaffinity(0)):
        console.print(
            f"The load average is {load:.1f}: others use this machine, so figures will be low.",
            style="bold yellow",
        )
    try:
        with ExitStack() as ends:
            return work(console, ends)
    except KeyboardInterrupt:
        console.print("Stopped.")
        return 130
    except (BenchError, EmbeddedServiceError) as error:
        console.print(str(error), style="bold red", markup=False)
        return 1


def begin(*, folder: Path, console: Console, ends: ExitStack) -> Beginning:
    """Start the servers with their data in `folder`, set Django up, and stock a database."""
    outside = dict(os.environ)
    guard = Guard()
    ends.callback(guard.close)
    console.print("Starting PostgreSQL and Valkey …")
    servers = Servers(folder=folder.absolute(), guard=guard, ends=ends)
    servers.make_database(STOCKED)
    settings = production_secrets()
    os.environ.update(
        settings,
        DATABASE_URL=servers.database_url(STOCKED),
        REDIS_URL=servers.redis_url(0),
        VAR_DIR=str(servers.folder / "django"),
        **_FOR_COMMANDS,
    )
    django.setup()
    # What imports models can be imported only now.
    from benchmarks.stocking import stock_shop

    console.print("Migrating and stocking the shop …")
    call_command("migrate", verbosity=0, interactive=False)
    stock = stock_shop()
    connections.close_all()
    for name in _FOR_COMMANDS:
        del os.environ[name]
    return Beginning(servers=servers, stock=stock, settings=settings, outside=outside)


def _interrupt(number: int, frame: FrameType | None) -> Any:
    for ignored in _STOPPING:
        signal.signal(ignored, signal.SIG_IGN)
    raise KeyboardInterrupt
