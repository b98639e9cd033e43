"""Placing while everything that an order goes through afterwards goes on too."""

from __future__ import annotations

import time
from contextlib import ExitStack

from benchmarks import calls
from benchmarks.machine import BenchError, Servers, Shop
from benchmarks.measuring import Measured, measure
from benchmarks.reconciling import broken_promises
from benchmarks.stocking import Stock

_DATABASE = "background"
_CONNECTIONS = 16

_CAPTURED = "SELECT count(*) FROM payments_payment WHERE status = 'captured'"
_WAITING = "SELECT count(*) FROM payments_payment WHERE status NOT IN ('captured', 'failed')"
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


def measure_with_background(
    servers: Servers, shop: Shop, stock: Stock, *, seconds: float
) -> Measured:
    """Place orders in a shop of its own whose workers run, a copy of the stocked one.

    `notes` has `captured` (payments a second while placing), `payments_waiting`, `events_waiting`
    (both at the end of it), `events_lag` (seconds, of the oldest event that a consumer has not
    read). Raises BenchError if `reconcile` finds anything afterwards.
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

        captured, began = number(_CAPTURED), time.monotonic()
        measured = measure(
            calls.placing(stock),
            port=busy.port,
            connections=_CONNECTIONS,
            seconds=seconds,
            orders=1,
            trees={**busy.trees(), **servers.trees()},
        )
        took = time.monotonic() - began
        lag = connection.execute(_LAG.encode()).fetchone()
        assert lag is not None
        measured.notes = {
            "captured": (number(_CAPTURED) - captured) / took,
            "payments_waiting": number(_WAITING),
            "events_waiting": float(str(lag[0])),
            "events_lag": float(str(lag[1])),
        }
        broken = broken_promises(busy, is_background_on=True)
    servers.drop_database(_DATABASE)
    if broken:
        raise BenchError("With the background on: " + "; ".join(broken))
    return measured
