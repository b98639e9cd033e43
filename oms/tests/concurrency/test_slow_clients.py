"""Slow, vanishing and impatient clients on a real server delay nobody else."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import httpx
import psutil
import psycopg
import pytest

from oms.fastpath.tests.calls import login, order_body, token_of
from oms.testing.factories import make_customer, make_product
from oms.testing.ordering import place
from oms.testing.processes import Processes, RunningProcess
from orders.models import Order

pytestmark = pytest.mark.fault

THREADS = 4


def address(url: str) -> tuple[str, int]:
    host, _, port = url.removeprefix("http://").partition(":")
    return host, int(port)


@contextmanager
def half_sent(
    url: str, path: str, *, sent: bytes = b"{", count: int = 12
) -> Iterator[list[socket.socket]]:
    """Connections that announce a body of 60,000 bytes and send `sent` of it."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        "Content-Length: 60000\r\n\r\n"
    )
    with ExitStack() as stack:
        wires = [
            stack.enter_context(socket.create_connection(address(url), timeout=30))
            for _ in range(count)
        ]
        for wire in wires:
            wire.sendall(head.encode() + sent)
        yield wires


def everything_answers(url: str, token: str, *, within: float) -> None:
    """Health, an account, a login and the back office answer in time."""
    headers = {"Authorization": f"Bearer {token}"}
    wrong = {"email": "nobody@example.com", "password": "wrong"}
    with httpx.Client(base_url=url, timeout=within) as client:
        assert client.get("/health").json() == {"status": "ok"}
        assert client.get("/api/v1/users/me", headers=headers).status_code == 200
        assert client.post("/api/v1/auth/token", json=wrong).status_code == 401
        assert client.get("/admin/login/").status_code == 200


def answer_of(wire: socket.socket) -> tuple[int, bytes]:
    """The status and the content that the server sent before it closed the connection."""
    received = b""
    while chunk := wire.recv(65536):
        received += chunk
    head, _, content = received.partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), content


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/api/v1/auth/token", "/api/v1/orders", "/api/v1/orders/bulk"])
def test_bodies_that_are_sent_slowly_hold_no_thread_and_end_with_408(
    processes: Processes, path: str
) -> None:
    processes.start("web", {"REQUEST_BODY_TIMEOUT": "7"})
    url, token = processes.web_url, token_of(make_customer())

    with half_sent(url, path) as wires:
        everything_answers(url, token, within=5)
        answers = [answer_of(wire) for wire in wires]

    assert [status for status, _ in answers] == [408] * len(wires)
    problem = json.loads(answers[0][1])
    assert (problem["code"], problem["instance"]) == ("request_timeout", path)


def test_clients_that_go_away_in_the_middle_leave_nothing_behind(processes: Processes) -> None:
    web = processes.start("web")
    url, token = processes.web_url, token_of(make_customer())
    everything_answers(url, token, within=5)
    before = connections_of(web)

    for path in ("/api/v1/auth/token", "/api/v1/orders", "/api/v1/orders/bulk", "/admin/login/"):
        with half_sent(url, path, sent=b'{"email"'):
            pass
    everything_answers(url, token, within=5)

    assert connections_of(web) <= before + 2
    assert "Traceback" not in web.log_text()


def test_clients_that_do_not_read_hold_no_thread(processes: Processes) -> None:
    processes.start("web")
    url, token = processes.web_url, token_of(make_customer())
    page = httpx.get(f"{url}/api/redoc").text
    script = page.partition('<script src="')[2].partition('"')[0]
    assert len(httpx.get(f"{url}{script}").content) > 500_000

    with ExitStack() as stack:
        for _ in range(12):
            wire = stack.enter_context(socket.socket())
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            wire.connect(address(url))
            wire.sendall(f"GET {script} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        time.sleep(1)

        everything_answers(url, token, within=5)


@pytest.mark.slow
def test_clients_that_do_not_read_lose_their_connection(processes: Processes) -> None:
    processes.start("web")
    url = processes.web_url
    page = httpx.get(f"{url}/api/redoc").text
    script = page.partition('<script src="')[2].partition('"')[0]
    size, number = len(httpx.get(f"{url}{script}").content), 60
    request = f"GET {script} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
    with socket.socket() as lazy:
        # Otherwise the kernel may take it all, in buffers that grow.
        lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        lazy.settimeout(30)
        lazy.connect(address(url))
        lazy.sendall(request * number)
        time.sleep(15)

        received, is_cut = 0, False
        try:
            while part := lazy.recv(1 << 20):
                received += len(part)
        except ConnectionResetError:
            is_cut = True

    assert is_cut
    assert received < size * number


@contextmanager
def locked_orders() -> Iterator[None]:
    """No order can be changed within the block."""
    with psycopg.connect(**login()) as holder:
        holder.execute("SELECT 1 FROM orders_order FOR UPDATE")
        yield
        holder.rollback()


def wait_for_locked(count: int) -> None:
    with psycopg.connect(**login(), autocommit=True) as other:
        for _ in range(1000):
            row = other.execute(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE application_name = 'web' AND wait_event_type = 'Lock'"
            ).fetchone()
            if row is not None and row[0] >= count:
                return
            time.sleep(0.01)
    raise AssertionError("too few wait")


def cancel(url: str, order: Order, token: str) -> tuple[int, float]:
    """The status of the answer, and the seconds until it came."""
    began = time.monotonic()
    headers = {"Authorization": f"Bearer {token}"}
    path = f"{url}/api/v1/orders/{order.id}/cancel"
    status = httpx.put(path, json={}, headers=headers, timeout=30).status_code
    return status, time.monotonic() - began


def test_the_clock_of_a_deadline_starts_when_the_request_arrives(processes: Processes) -> None:
    processes.start("web", {"DB_LOCK_TIMEOUT_MS": "4900"})
    url, customer = processes.web_url, make_customer()
    token, mug = token_of(customer), make_product(stock=100)
    orders = [place((mug, 1), customer=customer) for _ in range(THREADS)]
    headers = {"Authorization": f"Bearer {token}", "X-Request-Timeout-Ms": "300"}
    everything_answers(url, token, within=5)

    with ThreadPoolExecutor(THREADS) as pool:
        with locked_orders():
            cancelling = [pool.submit(cancel, url, order, token) for order in orders]
            wait_for_locked(THREADS)
            began = time.monotonic()
            # Neither needs one of Django's threads, all of which are busy.
            assert httpx.get(f"{url}/health", timeout=3).status_code == 200
            assert httpx.get(f"{url}/health/ready", timeout=3).status_code == 200
            body = order_body((mug.id, 1))
            late = httpx.post(f"{url}/api/v1/orders", json=body, headers=headers, timeout=4)
            assert time.monotonic() - began < 4
        assert [one.result()[0] for one in cancelling] == [200] * THREADS

    assert (late.status_code, late.json()["code"]) == (504, "deadline_exceeded")
    time.sleep(0.5)
    assert Order.objects.count() == THREADS


def test_every_request_is_answered_within_the_deadline_of_the_server(processes: Processes) -> None:
    processes.start("web", {"DB_LOCK_TIMEOUT_MS": "4900", "REQUEST_DEADLINE": "2"})
    url, customer = processes.web_url, make_customer()
    token, mug = token_of(customer), make_product(stock=100)
    orders = [place((mug, 1), customer=customer) for _ in range(3 * THREADS)]
    everything_answers(url, token, within=5)

    with ThreadPoolExecutor(len(orders)) as pool, locked_orders():
        answers = list(pool.map(lambda order: cancel(url, order, token), orders))

    assert {status for status, _ in answers} <= {503, 504}
    # One after the other they would wait for locks for 15 seconds.
    assert max(seconds for _, seconds in answers) < 8
    everything_answers(url, token, within=5)
    assert set(Order.objects.values_list("status", flat=True)) == {"pending"}


def connections_of(web: RunningProcess) -> int:
    """The connections of clients that the web process and its children hold open."""
    process = psutil.Process(web.pid)
    family = [process, *process.children(recursive=True)]
    return sum(
        1
        for one in family
        for c in one.net_connections("tcp")
        if c.status == psutil.CONN_ESTABLISHED
    )
