"""Placing orders while the workers process them: payment, events, e-mails."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import replace

from benchmarks import requests
from benchmarks.measurement import Measurement, cpu_seconds, generate_load, measure
from benchmarks.monitoring import count_rows, read_backlog, wait_for_empty_backlog
from benchmarks.processes import Shop
from benchmarks.seeding import Dataset
from benchmarks.servers import BenchError, Servers
from benchmarks.verification import reconcile

_CONNECTIONS = 16
_WARM_UP_SECONDS = 2.0
_CAPTURED = "payments_payment WHERE status = 'captured'"


def measure_with_background(
    servers: Servers, shop: Shop, data: Dataset, *, seconds: float
) -> Measurement:
    """Place orders in a copy of the seeded shop whose workers run, and reconcile it.

    `cpu` is what an order costs until nothing is left to process, by process. Raises BenchError if
    `reconcile` finds anything.
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
        placing = requests.placing(data)
        # The first orders and tasks load code and fill caches.
        generate_load(placing, port=busy.port, connections=_CONNECTIONS, seconds=_WARM_UP_SECONDS)
        wait_for_empty_backlog(connection, ledger=busy.ledger)
        placed = count_rows(connection, "orders_order")
        paid = count_rows(connection, _CAPTURED)
        before, began = cpu_seconds(process_ids), time.monotonic()
        measured = measure(
            placing,
            port=busy.port,
            connections=_CONNECTIONS,
            seconds=seconds,
            process_ids=process_ids,
        )
        captured = (count_rows(connection, _CAPTURED) - paid) / (time.monotonic() - began)
        left = read_backlog(connection, ledger=busy.ledger)
        caught_up = wait_for_empty_backlog(connection, ledger=busy.ledger)
        orders = max(1, count_rows(connection, "orders_order") - placed)
        after = cpu_seconds(process_ids)
        cpu = {name: (after[name] - before[name]) / orders for name in process_ids}
        broken = reconcile(busy, with_background=True)
    servers.drop_database(database)
    if broken:
        raise BenchError("With workers running: " + "; ".join(broken))
    note = (
        f"Workers: {captured:,.0f} orders a second were captured; {left}, all processed"
        f" {caught_up:.1f} s later. CPU ms an order: "
        + ", ".join(f"{name} {used * 1000:.2f}" for name, used in cpu.items())
    )
    return replace(measured, cpu={**cpu, "loader": measured.cpu["loader"]}, note=note)
