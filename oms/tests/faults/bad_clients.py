"""Clients that are slow, silent, or gone before their answer: the others must not notice."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Coroutine
from typing import Any

import httpx

from oms.tests.faults.checks import check_everything
from oms.tests.faults.clients import Buyers, Call, order_body
from oms.tests.faults.experiments import Experiment, Outcome, Size
from oms.tests.faults.shop import STAFF_EMAIL, STAFF_PASSWORD, Shop
from oms.tests.faults.weakening import forgotten_keys
from oms.tests.faults.web_workers import leaks, memory, resources

# From the first byte on, a request's headers and its body may take ten seconds each.
_CUT_SECONDS = 13.0
# As long may a client read nothing of what is sent, which takes some time to fill the buffers.
_UNREAD_SECONDS = 15.0
_SLOW_SECONDS = 17.0
# Requests without waiting for an answer, and the size of each answer: together more than the
# kernel's buffers of a connection hold, which are 4 MiB of the server and these of the client.
_REQUESTS, _LARGE, _RECEIVE_BUFFER = 60, 500_000, 65_536
# By how much a web worker may grow, with several times as many bytes of answers to send.
_SPARE_MEMORY = 64 * 1024 * 1024
# The slowest of a hundred; a login is expensive on purpose.
_BARS = {"health": 0.5, "login": 3.0, "orders": 2.0, "back office": 2.0}


def slow(shop: Shop, size: Size) -> Outcome:
    """A byte a second in bodies and headers, or none at all; readers that never read."""
    outcome = Outcome()
    before, large = resources(shop), _large_answer(shop)
    for number, silent in ((8, 8),) if size.is_quick else ((8, 8), (64, 64), (64, 2_048)):
        clients = [
            *[_drip(shop, "POST /api/v1/auth/token", length=60_000) for _ in range(number)],
            *[_drip(shop, "POST /api/v1/orders/bulk", length=1_500_000) for _ in range(number)],
            *[_drip(shop, "GET /api/v1/products", length=None) for _ in range(number)],
            *[_silent(shop) for _ in range(silent)],
            *[_never_reads(shop, large) for _ in range(number)],
        ]
        outcome.count("bad clients", len(clients))
        ended = _probe_during(shop, outcome, clients, seconds=_SLOW_SECONDS)
        outcome.violations += [text for text in ended if text]
    outcome.violations += leaks(shop, before)
    outcome.violations += check_everything(shop, Buyers(shop).record)
    return outcome


def vanishing(shop: Shop, size: Size) -> Outcome:
    """They send an order, or a part of it, and close the connection."""
    outcome, buyers = Outcome(), Buyers(shop)
    products, before = shop.products(), resources(shop)
    number = size.choose(quick=60, full=1000)
    cut: list[str] = []

    async def vanish(place: int) -> str:
        token = buyers.tokens()[place % len(buyers.tokens())]
        key = str(uuid.uuid4())
        body = order_body((products[place % len(products)], 1)) | {"note": key}
        # As it is repeated later: a key belongs to the bytes of a body.
        text = httpx.Request("POST", shop.url, json=body).content
        is_whole = place % 2 == 0
        _, writer = await asyncio.open_connection("127.0.0.1", shop.port)
        head = (
            f"POST /api/v1/orders HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
            f"Idempotency-Key: {key}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(text)}\r\n\r\n"
        )
        sent = time.monotonic()
        writer.write(head.encode() + (text if is_whole else text[: len(text) // 2]))
        await writer.drain()
        # Now, or while it is being answered.
        await asyncio.sleep((place % 10) / 200)
        writer.transport.abort()
        if is_whole:
            call = Call(key=key, body=body, token=token, sent=sent, status="vanished")
            buyers.record.calls.append(call)
        else:
            cut.append(key)
        return ""

    _probe_during(shop, outcome, [vanish(place) for place in range(number)], seconds=5)
    outcome.count("vanished", number)
    made = shop.value("SELECT count(*) FROM orders_order WHERE note = ANY(%s)", [cut])
    if made:
        outcome.violations.append(f"{made} orders were made of half a body")
    outcome.violations += buyers.resolve()
    outcome.violations += leaks(shop, before)
    outcome.violations += check_everything(shop, buyers.record)
    return outcome


def vanishing_without_keys(shop: Shop, size: Size) -> Outcome:
    """A client that repeats a call has the order made again."""
    with forgotten_keys(shop):
        return vanishing(shop, Size(is_quick=True))


def _probe_during(
    shop: Shop, outcome: Outcome, clients: list[Coroutine[Any, Any, str]], *, seconds: float
) -> list[str]:
    """Run the clients for `seconds` beside good ones, whose times are compared with the bars."""
    ended: list[str] = []
    probes = _probes(shop)

    async def run() -> list[str]:
        tasks = [asyncio.create_task(client) for client in clients]
        _, pending = await asyncio.wait(tasks, timeout=seconds)
        for task in pending:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        return [
            result if isinstance(result, str) else f"a bad client: {type(result).__name__}"
            for result in results
        ]

    thread = threading.Thread(target=lambda: ended.extend(asyncio.run(run())))
    thread.start()
    times: dict[str, list[float]] = defaultdict(list)
    workers, grown = shop.processes("web worker"), 0
    first = memory(workers)
    with httpx.Client(base_url=shop.url, timeout=10) as client:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for name, probe in probes.items():
                began = time.monotonic()
                try:
                    status = probe(client).status_code
                except httpx.TransportError as error:
                    outcome.violations.append(f"{name}: {type(error).__name__}")
                else:
                    if status != httpx.codes.OK:
                        outcome.violations.append(f"{name}: status {status}")
                times[name].append(time.monotonic() - began)
            now = memory(workers)
            grown = max(grown, *(now[pid] - first[pid] for pid in now))
            time.sleep(0.05)
    thread.join()
    for name, measured in times.items():
        worst = sorted(measured)[min(len(measured) - 1, int(len(measured) * 0.99))]
        outcome.notes.append(f"{name} p99 {worst:.2f} s")
        if worst > _BARS[name]:
            outcome.slow.append(f"{name}: p99 {worst:.2f} s, bar {_BARS[name]:g} s")
    outcome.notes.append(f"a worker grew by {grown >> 20} MiB")
    if grown > _SPARE_MEMORY:
        outcome.violations.append(f"a web worker grew by {grown >> 20} MiB")
    return ended


def _probes(shop: Shop) -> dict[str, Callable[[httpx.Client], httpx.Response]]:
    headers = {"Authorization": f"Bearer {shop.staff_token()}"}
    account = {"email": STAFF_EMAIL, "password": STAFF_PASSWORD}
    return {
        "health": lambda client: client.get("/health"),
        "login": lambda client: client.post("/api/v1/auth/token", json=account),
        "orders": lambda client: client.get("/api/v1/orders", headers=headers),
        "back office": lambda client: client.get("/admin/login/"),
    }


async def _drip(shop: Shop, route: str, *, length: int | None) -> str:
    """A byte a second of a body, or of a header without `length`, until it is answered or cut.

    "" if that was in time.
    """
    head = f"{route} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    if length is None:
        head += "X-Slow: "
    else:
        head += f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", shop.port)
    answer = asyncio.create_task(reader.read(1024))
    try:
        writer.write(head.encode())
        async with asyncio.timeout(_CUT_SECONDS):
            while not answer.done():
                writer.write(b" ")
                await asyncio.wait([answer], timeout=1)
    except TimeoutError:
        return f"{route}, a byte a second: no answer within {_CUT_SECONDS:g} s"
    finally:
        answer.cancel()
        writer.transport.abort()
    status = answer.result().split(b" ")[1:2] if not answer.exception() else []
    # Headers that never end may be cut without a word.
    allowed = [[b"408"], [b"401"], [b"429"], *([[]] if length is None else [])]
    return "" if status in allowed else f"{route}, a byte a second: answered {status}"


async def _silent(shop: Shop) -> str:
    """A connection without a byte, until it is cut; "" if that was in time."""
    reader, writer = await asyncio.open_connection("127.0.0.1", shop.port)
    try:
        async with asyncio.timeout(_CUT_SECONDS):
            await reader.read(1)
    except TimeoutError:
        return f"a connection without a byte is kept for {_CUT_SECONDS:g} s"
    finally:
        writer.transport.abort()
    return ""


def _large_answer(shop: Shop) -> str:
    """The path of a script that everybody may fetch, of more than `_LARGE` bytes."""
    page = httpx.get(f"{shop.url}/api/redoc", timeout=20).text
    path = page.partition('<script src="')[2].partition('"')[0]
    size = len(httpx.get(f"{shop.url}{path}", timeout=20).content)
    if size < _LARGE:
        raise RuntimeError(f"{path} has {size} bytes; unread answers would fit into buffers.")
    return path


async def _never_reads(shop: Shop, path: str) -> str:
    """It asks for much, one after the other, and reads no answer; "" if it was cut in time.

    Its system learns that only from what it answers to what it reads, so it reads then.
    """
    loop, received = asyncio.get_running_loop(), 0
    with socket.socket() as wire:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        wire.setblocking(False)
        await loop.sock_connect(wire, ("127.0.0.1", shop.port))
        request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        await loop.sock_sendall(wire, request.encode() * _REQUESTS)
        await asyncio.sleep(_UNREAD_SECONDS)
        try:
            while part := await loop.sock_recv(wire, 1 << 20):
                received += len(part)
                if received > _REQUESTS * _LARGE:
                    return f"who reads nothing for {_UNREAD_SECONDS:g} s gets all answers"
        except ConnectionResetError:
            pass
        except asyncio.CancelledError:
            return f"who reads nothing for {_UNREAD_SECONDS:g} s is not cut"
    return ""


EXPERIMENTS = (
    Experiment(
        name="slow and silent clients",
        bar="408 or cut within 13 s, who reads nothing within 15 s, no worker grows by 64 MiB; p99"
        " of health 0.5 s, login 3 s, orders and back office 2 s",
        run=slow,
        control=slow,
        control_environment=(("REQUEST_BODY_TIMEOUT", "600"),),
        is_heavy=True,
    ),
    Experiment(
        name="vanishing clients",
        bar="each order once by its key, none of half a body; the same p99",
        run=vanishing,
        control=vanishing_without_keys,
    ),
)
