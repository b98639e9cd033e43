"""Placing while everything that an order goes through afterwards goes on too."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from benchmarks import calls, cpu
from benchmarks.backends import Backends
from benchmarks.machine import BenchError, Servers, Shop
from benchmarks.measuring import Measured, load, measure
from benchmarks.reconciling import broken_promises
from benchmarks.stocking import Stock

_DATABASE = "background"
_CONNECTIONS = 16
# Orders a second that the background is to keep up with.
_PACE = 500.0
# What was placed in the seconds of a run is worked off within so many more, or something is wrong.
_LONGEST_BACKLOG = 300.0

_ORDERS = "SELECT count(*) FROM orders_order"
_CAPTURED = "SELECT count(*) FROM payments_payment WHERE status = 'captured'"
_WAITING = "SELECT count(*) FROM payments_payment WHERE status NOT IN ('captured', 'failed')"
_MAILS = "SELECT count(*) FROM notifications_notification WHERE state IN ('queued', 'sending')"
# The consumer that is furthest behind: how many events it has not read, and the oldest one's age.
_LAG = """
    SELECT coalesce(max(waiting.number), 0),
           coalesce(extract(epoch FROM now() - min(waiting.since)), 0)
    FROM events_consumeroffset AS reached
    CROSS JOIN LATERAL (
        SELECT count(*) AS number, min(occurred_at) AS since FROM events_event
        WHERE (transaction, position) > (reached.transaction, reached.position)
    ) AS waiting
"""
_UNREPORTED = "SELECT count(*) FROM webhooks WHERE next_attempt_at IS NOT NULL"

Numbers: TypeAlias = Callable[[str], tuple[float, ...]]


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

        def numbers(statement: str) -> tuple[float, ...]:
            row = connection.execute(statement.encode()).fetchone()
            assert row is not None
            return tuple(float(str(number)) for number in row)

        trees = {**busy.trees(), **servers.trees()}
        backends = ends.enter_context(Backends.watched(servers.connect(_DATABASE)))
        books = busy.folder / "sandbox" / "ledger.sqlite3"
        [placed] = numbers(_ORDERS)
        spent = cpu.seconds_of(trees)
        paced = _placed_at_pace(numbers, books, stock=stock, port=busy.port, seconds=seconds)
        [captured] = numbers(_CAPTURED)
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
        lag = numbers(_LAG)
        notes = {
            "captured": (numbers(_CAPTURED)[0] - captured) / took,
            "payments_waiting": numbers(_WAITING)[0],
            "mails_waiting": numbers(_MAILS)[0],
            "events_waiting": lag[0],
            "events_lag": lag[1],
            **paced,
        }
        _await_the_rest(lambda: _is_all_done(numbers, books))
        notes["caught_up"] = time.monotonic() - ended
        orders = numbers(_ORDERS)[0] - placed
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
    numbers: Numbers, books: Path, *, stock: Stock, port: int, seconds: float
) -> dict[str, float]:
    [captured], began = numbers(_CAPTURED), time.monotonic()
    report = load(
        calls.placing(stock),
        port=port,
        connections=4 * _CONNECTIONS,
        seconds=seconds,
        warm_up=0,
        rate=_PACE,
    )
    ended = time.monotonic()
    done = numbers(_CAPTURED)[0] - captured
    _await_the_rest(lambda: _is_all_done(numbers, books))
    return {
        "paced_placed": report["answered"] / (ended - began),
        "paced_captured": done / (ended - began),
        "paced_caught_up": time.monotonic() - ended,
    }


def _per_order(*, orders: float, spent: Mapping[str, float], loader: float) -> dict[str, float]:
    return {name: seconds / max(1, orders) for name, seconds in spent.items()} | {"loader": loader}


def _await_the_rest(is_done: Callable[[], bool]) -> None:
    until = time.monotonic() + _LONGEST_BACKLOG
    while not is_done():
        if time.monotonic() > until:
            raise BenchError(f"The background was not done after {_LONGEST_BACKLOG:.0f} seconds.")
        time.sleep(0.25)


def _is_all_done(numbers: Numbers, books: Path) -> bool:
    if numbers(_WAITING)[0] or numbers(_LAG)[0] or numbers(_MAILS)[0]:
        return False
    with closing(sqlite3.connect(f"file:{books}?mode=ro", uri=True)) as ledger:
        unreported: int = ledger.execute(_UNREPORTED).fetchone()[0]
    return not unreported
