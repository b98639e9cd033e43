"""A steady load on a shop of its own, whose workers run."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any

from rich.console import Console

from benchmarks import calls
from benchmarks.beginning import STOCKED, Beginning
from benchmarks.machine import Shop
from benchmarks.measuring import load
from benchmarks.presenting import commit, machine
from benchmarks.reconciling import broken_promises
from benchmarks.soaking import Soak, Window
from benchmarks.watching import (
    Backlog,
    await_an_empty_backlog,
    backlog_of,
    bloat_of,
    memory_of,
    tables_of,
)

_DATABASE = "soak"
_CONNECTIONS = 16
_WINDOW_SECONDS = 10.0
_TRIAL_SECONDS = 6.0


def soak_shop(
    beginning: Beginning, *, options: argparse.Namespace, console: Console, ends: ExitStack
) -> int:
    """Load a copy of the stocked shop as `options` say, and tell; 1 if something grows or broke."""
    beginning.servers.make_database(_DATABASE, like=STOCKED)
    shop = Shop(
        servers=beginning.servers,
        database=_DATABASE,
        redis_number=1,
        ends=ends,
        settings=beginning.settings,
    )
    shop.start_web()
    shop.start_background()
    rate = options.rate or options.share * _rate_to_the_end(beginning, shop, console)
    console.print(f"Placing {rate:,.0f} orders a second for {options.seconds:.0f} seconds …")
    soak = _soak(beginning, shop, rate=rate, seconds=options.seconds, say=console.print)
    soak.worked_off = await_an_empty_backlog(lambda: _backlog(beginning, shop))
    with beginning.servers.connect(_DATABASE) as connection:
        soak.tables_after = tables_of(connection)
        soak.bloat = bloat_of(connection, soak.written_tables())
    console.print(soak.memory_table())
    console.print(soak.table_of_tables())
    broken = broken_promises(shop, is_background_on=True)
    for sentence in [*soak.complaints(), *broken]:
        console.print(sentence, style="bold red", markup=False)
    if not broken:
        console.print("reconcile: all that must hold of this shop holds.")
    if options.json:
        document = {"commit": commit(), "machine": machine(), "rate": rate, **asdict(soak)}
        options.json.write_text(json.dumps(document, indent=2) + "\n")
    return 1 if broken or soak.complaints() else 0


def _rate_to_the_end(beginning: Beginning, shop: Shop, console: Console) -> float:
    """How many orders a second the shop places, and pays, relays and mails too."""
    console.print("Trying how much it can take …")
    began = time.monotonic()
    report = _load(beginning, shop, seconds=_TRIAL_SECONDS, rate=None)
    await_an_empty_backlog(lambda: _backlog(beginning, shop))
    rate: float = report["answered"] / (time.monotonic() - began)
    console.print(f"{rate:,.0f} orders a second, from placing to the last mail.")
    return rate


def _soak(
    beginning: Beginning, shop: Shop, *, rate: float, seconds: float, say: Callable[[str], None]
) -> Soak:
    trees = {**shop.trees(), **beginning.servers.trees()}
    connection = beginning.servers.connect(_DATABASE)
    with connection:
        soak = Soak(tables_before=tables_of(connection))
        began = time.monotonic()
        while (left := seconds - (time.monotonic() - began)) > 0.5:
            report = _load(beginning, shop, seconds=min(left, _WINDOW_SECONDS), rate=rate)
            window = Window(
                at=time.monotonic() - began,
                answered=report["answered"],
                rate=report["rate"],
                p50=report["p50"],
                p99=report["p99"],
                errors=report["unexpected"],
                troubles=report["troubles"],
                backlog=_backlog(beginning, shop),
                memory=memory_of(trees),
                dead={name: state.dead for name, state in tables_of(connection).items()},
            )
            soak.windows.append(window)
            say(window.line())
    return soak


def _load(
    beginning: Beginning, shop: Shop, *, seconds: float, rate: float | None
) -> dict[str, Any]:
    # Made anew for each window, for tokens do not live for ten minutes.
    return load(
        calls.placing(beginning.stock),
        port=shop.port,
        connections=_CONNECTIONS,
        seconds=seconds,
        warm_up=0,
        rate=rate,
    )


def _backlog(beginning: Beginning, shop: Shop) -> Backlog:
    with beginning.servers.connect(_DATABASE) as connection:
        return backlog_of(connection, ledger=shop.folder / "sandbox" / "ledger.sqlite3")
