"""Placing orders while the workers process them: payment, events, e-mails."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import replace

from benchmarks import requests
from benchmarks.cpu import backend_cpu_seconds, cpu_seconds
from benchmarks.measurement import Measurement, generate_load, measure
from benchmarks.monitoring import read_backlog, wait_for_empty_backlog
from benchmarks.processes import Shop
from benchmarks.seeding import Dataset
from benchmarks.servers import BenchError, Connection, Servers
from benchmarks.verification import reconcile

_CONNECTIONS = 16
# Orders a second that the workers are meant to keep up with.
_TARGET_RATE = 500.0


def measure_with_background(
    servers: Servers, shop: Shop, data: Dataset, *, seconds: float
) -> Measurement:
    """Place orders in a copy of the seeded shop whose workers run, and reconcile it.

    First at the rate that the workers are meant to keep up with, then as many as 16 connections
    can. `cpu` is what an order costs until nothing is left to process, by process; PostgreSQL
    backends also by client, as "pg web" and so on. `background` has, for the first part,
    `paced_placed` and `paced_captured` (a second) and `paced_caught_up` (seconds until done); for
    the second `captured` (payments a second while placing), `payments`, `events` and `mails`
    (still unprocessed at its end), `events_lag` (age of the oldest in seconds) and `caught_up`.
    Raises BenchError if `reconcile` finds anything.
    """
    database = f"background_{shop.checkout.name}"
    servers.create_database(database, template=data.template)
    with ExitStack() as cleanup:
        busy = Shop(
            checkout=shop.checkout,
            servers=servers,
            database=database,
            redis_number=9,
            settings=shop.settings,
            cleanup=cleanup,
        )
        busy.start_web()
        busy.start_background()
        connection = cleanup.enter_context(servers.connect(database))
        process_ids = {**busy.process_ids(), **servers.process_ids()}
        backends = cleanup.enter_context(backend_cpu_seconds(servers.connect(database)))
        placed, before = _count_orders(connection), cpu_seconds(process_ids)
        paced = _place_at_target_rate(connection, busy, data, seconds=seconds)
        captured, began = _count_captured(connection), time.monotonic()
        measured = measure(
            requests.placing(data),
            port=busy.port,
            connections=_CONNECTIONS,
            seconds=seconds,
            orders=1,
            process_ids=process_ids,
        )
        took = time.monotonic() - began
        left = read_backlog(connection, ledger=busy.ledger)
        background = {
            **paced,
            "captured": (_count_captured(connection) - captured) / took,
            "payments": left.payments,
            "mails": left.mails,
            "events": left.events,
            "events_lag": left.events_lag,
            "caught_up": wait_for_empty_backlog(connection, ledger=busy.ledger),
        }
        orders = max(1, _count_orders(connection) - placed)
        spent = {name: now - before[name] for name, now in cpu_seconds(process_ids).items()}
        cpu = {name: used / orders for name, used in {**spent, **backends()}.items()}
        broken = reconcile(busy, with_background=True)
    servers.drop_database(database)
    if broken:
        raise BenchError("With workers running: " + "; ".join(broken))
    cpu["loader"] = measured.cpu["loader"]
    return replace(measured, cpu=cpu, background=background)


def _place_at_target_rate(
    connection: Connection, shop: Shop, data: Dataset, *, seconds: float
) -> dict[str, float]:
    captured, began = _count_captured(connection), time.monotonic()
    report = generate_load(
        requests.placing(data),
        port=shop.port,
        connections=4 * _CONNECTIONS,
        seconds=seconds,
        warm_up=0,
        rate=_TARGET_RATE,
    )
    took = time.monotonic() - began
    return {
        "paced_placed": report["answered"] / took,
        "paced_captured": (_count_captured(connection) - captured) / took,
        "paced_caught_up": wait_for_empty_backlog(connection, ledger=shop.ledger),
    }


def _count_orders(connection: Connection) -> int:
    return _count(connection, "SELECT count(*) FROM orders_order")


def _count_captured(connection: Connection) -> int:
    return _count(connection, "SELECT count(*) FROM payments_payment WHERE status = 'captured'")


def _count(connection: Connection, statement: str) -> int:
    row = connection.execute(statement.encode()).fetchone()
    assert row is not None
    return int(row[0])
