"""`python -m benchmarks`: measure the shop as it runs in production. See docs/performance.md."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Any

import django
from django.core.management import call_command
from django.db import connections
from rich.console import Console

from benchmarks.machine import ROOT, BenchError, Servers, Shop, production_secrets
from oms.management.embedded import EmbeddedServiceError, Guard

_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_STOCKED = "stocked"
_SHOP = "shop"


def main() -> int:
    """Run the bench; 0 if all answers were as expected and `reconcile` found nothing."""
    options = _options()
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
            return _run(options, console, ends)
    except KeyboardInterrupt:
        console.print("Stopped.")
        return 130
    except (BenchError, EmbeddedServiceError) as error:
        console.print(str(error), style="bold red", markup=False)
        return 1


def _run(options: argparse.Namespace, console: Console, ends: ExitStack) -> int:
    guard = Guard()
    ends.callback(guard.close)
    console.print("Starting PostgreSQL and Valkey …")
    servers = Servers(folder=options.var.absolute(), guard=guard, ends=ends)
    servers.make_database(_STOCKED)
    environment = production_secrets()
    os.environ.update(
        environment,
        DATABASE_URL=servers.database_url(_STOCKED),
        REDIS_URL=servers.redis_url(0),
        VAR_DIR=str(servers.folder / "django"),
        DB_STATEMENT_TIMEOUT_MS="0",
        DB_IDLE_IN_TRANSACTION_TIMEOUT_MS="0",
        LOG_LEVEL="WARNING",
    )
    django.setup()
    # What imports models can be imported only now.
    from benchmarks import pgbench
    from benchmarks.presenting import as_comparison, as_document, as_table, background_sentence
    from benchmarks.reconciling import broken_promises
    from benchmarks.rows import ROWS
    from benchmarks.running import Bench
    from benchmarks.stocking import stock_shop

    names = [row.name for row in ROWS]
    wanted = options.only or names
    if unknown := set(wanted) - set(names):
        raise BenchError(f"No rows: {', '.join(sorted(unknown))}. There are: {', '.join(names)}.")
    console.print("Migrating and stocking the shop …")
    call_command("migrate", verbosity=0, interactive=False)
    stock = stock_shop()
    connections.close_all()
    for name in ("DB_STATEMENT_TIMEOUT_MS", "DB_IDLE_IN_TRANSACTION_TIMEOUT_MS", "LOG_LEVEL"):
        del os.environ[name]
    console.print("Preparing the yardsticks …")
    pgbench.prepare_tpcb(servers)
    if {"plain", "prepared"} & set(wanted):
        pgbench.prepare_plain(servers, like=_STOCKED)
    servers.make_database(_SHOP, like=_STOCKED)
    shop = Shop(servers=servers, database=_SHOP, redis_number=1, ends=ends, settings=environment)
    shop.start_web()
    if options.workers == "on":
        shop.start_background()
    bench = Bench(
        servers=servers,
        shop=shop,
        stock=stock,
        rows=[row for row in ROWS if row.name in wanted],
        seconds=options.seconds,
        console=console,
    )
    for number in range(options.rounds):
        console.print(f"Round {number + 1} of {options.rounds}", style="bold")
        bench.run_round()

    if options.profile:
        bench.profile(options.profile.absolute())
    console.print(as_table(bench.results))
    if sentence := background_sentence(bench.results):
        console.print(sentence)
    for name, reason in bench.skipped.items():
        console.print(f"Not measured: {name}, because {reason}.")
    document = as_document(bench.results, seconds=options.seconds, rounds=options.rounds)
    if options.json:
        options.json.write_text(json.dumps(document, indent=2) + "\n")
    if options.compare:
        console.print(as_comparison(json.loads(options.compare.read_text()), document))
    broken = broken_promises(shop, is_background_on=options.workers == "on")
    for sentence in broken:
        console.print(sentence, style="bold red", markup=False)
    errors = sum(one.errors for measured in bench.results.values() for one in measured)
    if errors:
        console.print(f"{errors} answers were not as expected.", style="bold red")
    if not broken:
        console.print("reconcile: all that must hold of this shop holds.")
    return 1 if broken or errors else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", type=_names, help="rows by name, with commas between")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured (3)")
    parser.add_argument("--seconds", type=float, default=5, help="for how long each (5)")
    parser.add_argument(
        "--workers",
        choices=("on", "off"),
        default="off",
        help="whether the background runs in all rows; the row `background` has its own (off)",
    )
    parser.add_argument("--json", type=Path, help="write the results to this file")
    parser.add_argument("--compare", type=Path, help="compare with such a file")
    parser.add_argument(
        "--profile", type=Path, help="sample the web process too; graphs go to this folder"
    )
    parser.add_argument(
        "--var", type=Path, default=ROOT / "var" / "bench", help="the bench's data (var/bench)"
    )
    options = parser.parse_args()
    if not 1 <= options.seconds <= 600 or not 1 <= options.rounds <= 50:
        parser.error("--seconds is from 1 to 600, --rounds from 1 to 50")
    return options


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _interrupt(number: int, frame: FrameType | None) -> Any:
    for ignored in _STOPPING:
        signal.signal(ignored, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
