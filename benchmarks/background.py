"""Placing while everything that an order goes through afterwards goes on too."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import TypeAlias

from benchmarks import calls, cpu
from benchmarks.backends import Backends
from benchmarks.machine import BenchError, Servers, Shop
from benchmarks.measuring import Measured, load, measure
from benchmarks.reconciling import broken_promises
from benchmarks.stocking import Stock
from benchmarks.watching import Backlog, await_an_empty_backlog, backlog_of

_DATABASE = "background"
_CONNECTIONS = 16
# Orders a second that the background is to keep up with.
_PACE = 500.0

_ORDERS = "SELECT count(*) FROM orders_order"
_CAPTURED = "SELECT count(*) FROM payments_payment WHERE status = 'captured'"

Number: TypeAlias = Callable[[str], int]


def measure_with_background(
    servers: Servers, shop: Shop, stock: Stock, *, seconds: float
) -> Measured:
    """Place orders in a shop of its own whose workers run, a copy of the stocked one.

    First so many a second as the background is to keep up with, then as many as 16 connections can.

    `cpu` is what an order costs until all of its payment, news and mail is done, by process; the
    backends of PostgreSQL are there by whom they work for too, as "pg web" and the like. `notes`
    has `captured` (payments a second while placing), `payments_waiting`, `events_waiting`,
    `mails_waiting` (all three at the end of it), `events_lag` (seconds, of the oldest event that a
    consumer has not read), and `caught_up` (the seconds until nothing was left to do); and of the
    first part `paced_placed`, `paced_captured` (a second) and `paced_caught_up`. Raises BenchError
    if `reconcile` finds anything afterwards.
    """
    servers.make_database(_DATABASE, like="stocked")
    with ExitStack() as ends:
        busy = Shop(
            servers=servers,
            database=_DATABASE,
            redis_number=2,
            ends=ends,
            settings=shop.environment,
        )
        busy.start_web()
        busy.start_background()
        connection = ends.enter_context(servers.connect(_DATABASE))

        def number(statement: str) -> int:
            row = connection.execute(statement.encode()).fetchone()
            assert row is not None
            return int(str(row[0]))

        trees = {**busy.trees(), **servers.trees()}
        backends = ends.enter_context(Backends.watched(servers.connect(_DATABASE)))

        def look() -> Backlog:
            return backlog_of(connection, ledger=busy.folder / "sandbox" / "ledger.sqlite3")

        placed = number(_ORDERS)
        spent = cpu.seconds_of(trees)
        paced = _placed_at_pace(number, look, stock=stock, port=busy.port, seconds=seconds)
        captured = number(_CAPTURED)
        began = time.monotonic()
        measured = measure(
            calls.placing(stock),
            port=busy.port,
            connections=_CONNECTIONS,
            seconds=seconds,
            orders=1,
            trees=trees,
        )
        took, ended = time.monotonic() - began, time.monotonic()
        left = look()
        notes = {
            "captured": (number(_CAPTURED) - captured) / took,
            "payments_waiting": left.payments,
            "mails_waiting": left.mails,
            "events_waiting": left.events,
            "events_lag": left.events_lag,
            **paced,
        }
        await_an_empty_backlog(look)
        notes["caught_up"] = time.monotonic() - ended
        orders = number(_ORDERS) - placed
        measured = replace(
            measured,
            cpu=_per_order(
                orders=orders,
                spent={name: later - spent[name] for name, later in cpu.seconds_of(trees).items()}
                | backends.seconds(),
                loader=measured.cpu["loader"],
            ),
            notes=notes,
        )
        broken = broken_promises(busy, is_background_on=True)
    servers.drop_database(_DATABASE)
    if broken:
        raise BenchError("With the background on: " + "; ".join(broken))
    return measured


def _placed_at_pace(
    number: Number, look: Callable[[], Backlog], *, stock: Stock, port: int, seconds: float
) -> dict[str, float]:
    captured, began = number(_CAPTURED), time.monotonic()
    report = load(
        calls.placing(stock),
        port=port,
        connections=4 * _CONNECTIONS,
        seconds=seconds,
        warm_up=0,
        rate=_PACE,
    )
    ended = time.monotonic()
    done = number(_CAPTURED) - captured
    await_an_empty_backlog(look)
    return {
        "paced_placed": report["answered"] / (ended - began),
        "paced_captured": done / (ended - began),
        "paced_caught_up": time.monotonic() - ended,
    }


def _per_order(*, orders: float, spent: Mapping[str, float], loader: float) -> dict[str, float]:
    return {name: seconds / max(1, orders) for name, seconds in spent.items()} | {"loader": loader}
