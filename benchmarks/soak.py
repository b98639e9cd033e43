"""`python -m benchmarks.soak`: a steady load for minutes, and what grows under it.

The shop runs as in production with all its workers. A closed loop of some seconds, and the time
until everything is processed, give the rate that it can sustain; a share of that is then placed
while memory, tables and unprocessed items are sampled every ten seconds. See docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks import requests
from benchmarks.measurement import generate_load
from benchmarks.monitoring import (
    bloat_of,
    memory_of,
    read_backlog,
    tables_of,
    wait_for_empty_backlog,
)
from benchmarks.processes import Checkout, Shop
from benchmarks.report import machine
from benchmarks.seeding import Dataset, production_settings, seed
from benchmarks.servers import ROOT, Connection, Servers, commit_of, run_with_servers
from benchmarks.soak_report import Soak, Window
from benchmarks.verification import reconcile

_DATABASE = "soak"
_CONNECTIONS = 16
_WINDOW_SECONDS = 10.0
_TRIAL_SECONDS = 6.0


def main() -> int:
    """Run the soak test; 0 if nothing grows and nothing is broken."""
    options = _options()
    return run_with_servers(options.var, partial(_run, options))


@dataclass(frozen=True, kw_only=True)
class _Target:
    shop: Shop
    data: Dataset
    connection: Connection

    def place_orders(self, *, seconds: float, rate: float | None) -> dict[str, Any]:
        # Prepared again each time, because access tokens expire.
        return generate_load(
            requests.placing(self.data),
            port=self.shop.port,
            connections=_CONNECTIONS,
            seconds=seconds,
            warm_up=0,
            rate=rate,
        )


def _run(
    options: argparse.Namespace, servers: Servers, console: Console, cleanup: ExitStack
) -> int:
    console.print("Seeding the shop …")
    settings = production_settings()
    checkout = Checkout(name="here", folder=ROOT, python=Path(sys.executable))
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
    target = _Target(shop=shop, data=data, connection=connection)
    rate = options.rate or options.share * _sustainable_rate(target, console)
    console.print(f"Placing {rate:,.0f} orders a second for {options.seconds:.0f} seconds …")
    soak = Soak(tables_before=tables_of(connection))
    process_ids = {**shop.process_ids(), **servers.process_ids()}
    began = time.monotonic()
    while (left := options.seconds - (time.monotonic() - began)) > 0.5:
        report = target.place_orders(seconds=min(left, _WINDOW_SECONDS), rate=rate)
        window = Window(
            at=time.monotonic() - began,
            answered=report["answered"],
            rate=report["rate"],
            p50=report["p50"],
            p99=report["p99"],
            errors=report["unexpected"],
            examples=report["examples"],
            backlog=read_backlog(connection, ledger=shop.ledger),
            memory=memory_of(process_ids),
            dead={name: table.dead for name, table in tables_of(connection).items()},
        )
        soak.windows.append(window)
        console.print(window.line())
    soak.caught_up = wait_for_empty_backlog(connection, ledger=shop.ledger)
    soak.tables_after = tables_of(connection)
    soak.bloat = bloat_of(connection, soak.written_tables())
    console.print(soak.memory_table())
    console.print(soak.size_table())
    failures = [*soak.failures(), *reconcile(shop, with_background=True)]
    for sentence in failures or ["Nothing grows, reconcile finds no violations."]:
        console.print(sentence, style="red" if failures else None, markup=False)
    if options.json:
        document = {"commit": commit_of(ROOT), "machine": machine(), "rate": rate, **asdict(soak)}
        options.json.write_text(json.dumps(document, indent=2) + "\n")
    return 1 if failures else 0


def _sustainable_rate(target: _Target, console: Console) -> float:
    """Orders a second that the shop places, charges, relays and mails."""
    console.print("Measuring the sustainable rate …")
    began = time.monotonic()
    report = target.place_orders(seconds=_TRIAL_SECONDS, rate=None)
    wait_for_empty_backlog(target.connection, ledger=target.shop.ledger)
    rate: float = report["answered"] / (time.monotonic() - began)
    console.print(f"{rate:,.0f} orders a second from placing to the last mail.")
    return rate


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.soak",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seconds", type=float, default=600, help="for how long (600)")
    parser.add_argument("--rate", type=float, help="orders a second, instead of a share")
    parser.add_argument("--share", type=float, default=0.6, help="of the sustainable rate (0.6)")
    parser.add_argument("--json", type=Path, help="write all samples to this file")
    parser.add_argument(
        "--var", type=Path, default=ROOT / "var" / "bench", help="data of the servers (var/bench)"
    )
    options = parser.parse_args()
    if not 30 <= options.seconds <= 86_400:
        parser.error("--seconds is from 30 to 86400")
    if not 0 < options.share <= 1 or (options.rate is not None and options.rate <= 0):
        parser.error("--share is above 0 and at most 1, --rate above 0")
    return options


if __name__ == "__main__":
    sys.exit(main())
