"""The web while PostgreSQL hangs, is away, and is back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import httpx
import pytest

from oms.fastpath.tests.calls import order_body, token_of
from oms.testing.factories import make_customer, make_product
from oms.testing.ordering import place
from oms.testing.processes import Processes
from oms.tests.concurrency.test_fastpath import backends_of, stopped

pytestmark = pytest.mark.fault


@pytest.fixture
def clients() -> Iterator[Callable[..., httpx.Client]]:
    """Makes HTTP clients that are closed after the test."""
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(httpx.Client(timeout=10, **options))


def test_django_s_threads_answer_in_time_while_their_connections_hang(
    processes: Processes, clients: Callable[..., httpx.Client]
) -> None:
    processes.start("web")
    url, customer = processes.web_url, make_customer()
    token, mug = token_of(customer), make_product(stock=100)
    order = place((mug, 1), customer=customer)
    headers = {"Authorization": f"Bearer {token}"}
    client = clients(base_url=url, headers=headers)
    for _ in range(8):
        assert client.get("/api/v1/users/me").status_code == 200

    with stopped(backends_of("web")):
        for milliseconds in ("500", "3000"):
            limit = {"X-Request-Timeout-Ms": milliseconds}
            began = time.monotonic()
            placed = client.post("/api/v1/orders", json=order_body((mug.id, 1)), headers=limit)
            assert time.monotonic() - began < int(milliseconds) / 1000 + 1
            assert placed.status_code in (201, 503, 504), placed.text
            if placed.status_code == 503:
                assert int(placed.headers["Retry-After"]) >= 1
        began = time.monotonic()
        assert client.get("/api/v1/users/me").status_code in (200, 503)
        assert client.put(f"/api/v1/orders/{order.id}/cancel", json={}).status_code in (200, 503)
        assert time.monotonic() - began < 8
        # A thread that met a connection that hangs has replaced it.
        for _ in range(8):
            client.get("/api/v1/users/me")
        began = time.monotonic()
        for _ in range(8):
            assert client.get("/api/v1/users/me").status_code == 200
        assert time.monotonic() - began < 2
