"""`python -m benchmarks.streams`: what open streams cost, and how fast they are.

One web process with all that belongs to a shop. Measured are its memory with and without streams,
the rate of placing with and without them (in turns, in one run), and at a steady rate the time from
an order's event to the first byte at a client. That begins when the event gets its id, which is
before the commit; ids are to the millisecond.
"""

from __future__ import annotations

import argparse
import selectors
import socket
import sys
import threading
import time
from contextlib import ExitStack
from functools import partial
from statistics import median
from uuid import UUID

from rich.console import Console
from rich.table import Table

from benchmarks import requests
from benchmarks.measurement import generate_load
from benchmarks.monitoring import memory_of, wait_for_empty_backlog
from benchmarks.processes import Checkout, Shop
from benchmarks.seeding import Dataset, production_settings, seed
from benchmarks.servers import ROOT, BenchError, Servers, run_with_servers

_DATABASE = "streams"
_CONNECTIONS = 16
_LOAD_SECONDS = 5.0
_LISTENERS = 8
_AT_ONCE = 200
_OPENED = b"stream.opened"
_PLACED = b"event: order.placed\n"


def main() -> int:
    """Run the measurement; prints two tables."""
    return run_with_servers(partial(_run, _options()))


def _run(
    options: argparse.Namespace, servers: Servers, console: Console, cleanup: ExitStack
) -> int:
    settings = {
        **production_settings(),
        "WEB_WORKERS": "1",
        "STREAMS_PER_ADDRESS": "1000000",
        "STREAMS_PER_ACCOUNT": "1000000",
    }
    checkout = Checkout(name="here", folder=ROOT)
    console.print("Seeding the shop …")
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
    _rate_of_placing(shop, data)  # warms up
    table = Table("Open streams", "web process, MB", "more", "placing, orders/s", "ratio")
    before = _memory(shop)
    table.add_row("0", f"{before:.0f}", "–", "–", "–")
    for number in options.streams:
        rates: dict[bool, list[float]] = {False: [], True: []}
        for _ in range(options.rounds):
            rates[False].append(_rate_of_placing(shop, data))
            with Streams(shop, data, number=number):
                with_streams = _memory(shop)
                rates[True].append(_rate_of_placing(shop, data))
        without, beside = median(rates[False]), median(rates[True])
        table.add_row(
            f"{number:,}",
            f"{with_streams:.0f}",
            f"{with_streams - before:+.0f}",
            f"{beside:,.0f} ({without:,.0f} without)",
            f"{beside / without:.2f}",
        )
    console.print(table)
    latencies = Table("Orders/s", "events", "median, ms", "p95, ms", "p99, ms", "slowest, ms")
    connection = cleanup.enter_context(servers.connect(_DATABASE))
    for rate in options.rates:
        wait_for_empty_backlog(connection, ledger=shop.ledger)
        with Listeners(shop, data) as listeners:
            _placed(shop, data, rate=rate, seconds=options.seconds)
            time.sleep(1)
        found = sorted(listeners.milliseconds)
        at = [found[min(len(found) - 1, int(len(found) * share))] for share in (0.5, 0.95, 0.99)]
        latencies.add_row(f"{rate:g}", f"{len(found):,}", *(f"{ms:.0f}" for ms in (*at, found[-1])))
    console.print(latencies)
    return 0


class Streams:
    """That many open streams, read by a thread.

    Those who order have one each, all others are of somebody who waits.
    """

    def __init__(self, shop: Shop, data: Dataset, *, number: int) -> None:
        self._selector = selectors.DefaultSelector()
        self._closing = False
        ordering = [customer.token() for customer in data.customers]
        tokens = [*ordering, *[waiting_token(shop)] * number][:number]
        self._wires: list[socket.socket] = []
        for begin in range(0, number, _AT_ONCE):
            wires = [
                open_stream(shop.port, token=token) for token in tokens[begin : begin + _AT_ONCE]
            ]
            for wire in wires:
                wait_until_open(wire)
                wire.setblocking(False)
                self._selector.register(wire, selectors.EVENT_READ)
            self._wires += wires
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Streams:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._closing = True
        self._thread.join()
        for wire in self._wires:
            wire.close()
        time.sleep(1)  # until the server has noticed

    def _read(self) -> None:
        while not self._closing:
            for key, _ in self._selector.select(timeout=0.2):
                wire: socket.socket = key.fileobj  # type: ignore[assignment]
                if not wire.recv(1 << 16):
                    raise BenchError("A stream has ended.")


class Listeners:
    """Streams of staff, which see all orders; a thread measures when their events arrive."""

    def __init__(self, shop: Shop, data: Dataset) -> None:
        token = data.staff.token()
        self.milliseconds: list[float] = []
        self._wires = [open_stream(shop.port, token=token) for _ in range(_LISTENERS)]
        for wire in self._wires:
            wait_until_open(wire)
        self._threads = [threading.Thread(target=self._read, args=[wire]) for wire in self._wires]

    def __enter__(self) -> Listeners:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        for wire in self._wires:
            wire.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()

    def _read(self, wire: socket.socket) -> None:
        rest = b""
        while part := wire.recv(1 << 16):
            now = time.time() * 1000
            *blocks, rest = (rest + part).split(b"\n\n")
            for block in blocks:
                if _PLACED in block:
                    id = block[block.index(b"id: ") + 4 :][:36].decode()
                    self.milliseconds.append(now - (UUID(id).int >> 80))


def waiting_token(shop: Shop) -> str:
    """The access token of a new customer, who orders nothing."""
    account = {"email": f"waiting-{time.time_ns()}@example.com", "password": "Waiting-horse-9"}
    shop.request("POST", "/api/v1/users", body={**account, "full_name": "Waiting"})
    access: str = shop.request("POST", "/api/v1/auth/token", body=account)["access"]
    return access


def open_stream(port: int, *, token: str) -> socket.socket:
    """A connection on which a stream of orders was asked for."""
    wire = socket.create_connection(("127.0.0.1", port), timeout=60)
    wire.sendall(
        f"GET /api/v1/stream?topics=orders HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Authorization: Bearer {token}\r\n\r\n".encode()
    )
    return wire


def wait_until_open(wire: socket.socket) -> None:
    """Return once the stream has begun. Raises BenchError."""
    received = b""
    while _OPENED not in received:
        part = wire.recv(4096)
        if not part:
            raise BenchError(f"No stream: {received[:300]!r}")
        received += part


def _placed(shop: Shop, data: Dataset, *, rate: float | None, seconds: float) -> float:
    report = generate_load(
        requests.placing(data),
        port=shop.port,
        connections=_CONNECTIONS,
        seconds=seconds,
        warm_up=0.5,
        rate=rate,
    )
    return float(report["answered"]) / seconds


def _rate_of_placing(shop: Shop, data: Dataset) -> float:
    return _placed(shop, data, rate=None, seconds=_LOAD_SECONDS)


def _memory(shop: Shop) -> float:
    """Of the web's only worker, in MB."""
    return memory_of({"web": shop.process_ids()["web"]})["web 1"]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.streams",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--streams", type=int, nargs="+", default=[1000, 5000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rates", type=float, nargs="+", default=[20, 200])
    parser.add_argument("--seconds", type=float, default=15)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
