"""`python -m benchmarks.soak`: a steady load for minutes, and what grows under it.

The shop runs as in production with all its workers. A closed loop of some seconds, and the time
until everything is processed, give the rate that it can sustain; 60 % of that are then placed
while memory, tables and unprocessed items are sampled every ten seconds. See docs/performance.md.
"""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import ExitStack
from functools import partial

from rich.console import Console

from benchmarks import requests
from benchmarks.measurement import generate_load
from benchmarks.monitoring import memory_of, read_backlog, tables_of, wait_for_empty_backlog
from benchmarks.processes import Checkout, Shop
from benchmarks.seeding import Dataset, production_settings, seed
from benchmarks.servers import ROOT, Connection, Servers, run_with_servers
from benchmarks.soak_report import Soak, Window
from benchmarks.verification import reconcile

_DATABASE = "soak"
_CONNECTIONS = 16
_WINDOW_SECONDS = 10.0
_TRIAL_SECONDS = 6.0
_SHARE = 0.6


def main() -> int:
    """Run the soak test; 0 if nothing grows and nothing is broken."""
    return run_with_servers(partial(_run, _options()))


def _run(
    options: argparse.Namespace, servers: Servers, console: Console, cleanup: ExitStack
) -> int:
    console.print("Seeding the shop …")
    settings, checkout = production_settings(), Checkout(name="here", folder=ROOT)
    data = seed(servers=servers, checkout=checkout, settings=settings)
    servers.create_database(_DATABASE, template=data.template)
    shop = Shop(
        checkout=checkout,
        servers=servers,
        database=_DATABASE,
        redis_number=1,
        settings=settings,
        cleanup=cleanup,
    )
    shop.start_web()
    shop.start_background()
    connection = cleanup.enter_context(servers.connect(_DATABASE))
    rate = options.rate
    if rate is None:
        console.print("Measuring the sustainable rate …")
        sustainable = _sustainable_rate(shop, data, connection)
        console.print(f"{sustainable:,.0f} orders a second from placing to the last mail.")
        rate = _SHARE * sustainable
    console.print(f"Placing {rate:,.0f} orders a second for {options.seconds:.0f} seconds …")
    soak = Soak(tables_before=tables_of(connection))
    # Not PostgreSQL, whose memory is that of its caches, which fill up to their setting.
    process_ids = {**shop.process_ids(), "valkey": servers.process_ids()["valkey"]}
    began = time.monotonic()
    while (left := options.seconds - (time.monotonic() - began)) > 0.5:
        load = generate_load(
            requests.placing(data),  # prepared again, because access tokens expire
            port=shop.port,
            connections=_CONNECTIONS,
            seconds=min(left, _WINDOW_SECONDS),
            warm_up=0,
            rate=rate,
        )
        window = Window(
            at=time.monotonic() - began,
            load=load,
            backlog=read_backlog(connection, ledger=shop.ledger),
            memory=memory_of(process_ids),
            dead={name: table.dead for name, table in tables_of(connection).items()},
        )
        soak.windows.append(window)
        console.print(window.line())
    soak.caught_up = wait_for_empty_backlog(connection, ledger=shop.ledger)
    soak.tables_after = tables_of(connection)
    console.print(soak.memory_table())
    console.print(soak.size_table())
    failures = [*soak.failures(), *reconcile(shop, with_background=True)]
    for sentence in failures or ["Nothing grows, reconcile finds no violations."]:
        console.print(sentence, style="red" if failures else None, markup=False)
    return 1 if failures else 0


def _sustainable_rate(shop: Shop, data: Dataset, connection: Connection) -> float:
    """Orders a second that the shop places, charges, relays and mails."""
    began = time.monotonic()
    report = generate_load(
        requests.placing(data),
        port=shop.port,
        connections=_CONNECTIONS,
        seconds=_TRIAL_SECONDS,
        warm_up=0,
    )
    wait_for_empty_backlog(connection, ledger=shop.ledger)
    return float(report["answered"] / (time.monotonic() - began))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.soak",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seconds", type=float, default=600, help="for how long (600)")
    parser.add_argument("--rate", type=float, help="orders a second, instead of a share")
    options = parser.parse_args()
    if not 30 <= options.seconds <= 86_400:
        parser.error("--seconds is from 30 to 86400")
    if options.rate is not None and options.rate <= 0:
        parser.error("--rate is above 0")
    return options


if __name__ == "__main__":
    sys.exit(main())
