"""The web server: how it stops, replaces its workers, and keeps connections."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import psutil
import pytest

from oms.testing.processes import Processes

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def running() -> Iterator[Processes]:
    with Processes() as processes:
        yield processes


def _ready(url: str) -> tuple[int, str]:
    answer = httpx.get(f"{url}/health/ready", timeout=10)
    return answer.status_code, answer.json()["status"]


def test_readiness_fails_before_the_port_closes(running: Processes) -> None:
    web = running.start("web", {"WEB_CLOSE_DELAY_SECONDS": "3"})
    assert _ready(running.web_url) == (200, "ok")
    began = time.monotonic()

    web.popen.terminate()

    while _ready(running.web_url) != (503, "stopping"):
        assert time.monotonic() - began < 2
    assert httpx.get(f"{running.web_url}/health").status_code == 200
    assert web.wait() == 0
    assert time.monotonic() - began > 3
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{running.web_url}/health")


def test_without_a_pause_or_at_a_second_signal_it_stops_at_once(running: Processes) -> None:
    web = running.start("web", {"WEB_CLOSE_DELAY_SECONDS": "60"})
    web.popen.terminate()
    while _ready(running.web_url)[0] == 200:
        time.sleep(0.05)

    assert web.terminate() == 0

    assert running.start("web").terminate() == 0


def test_a_killed_worker_is_replaced(running: Processes) -> None:
    web = running.start("web", {"WEB_WORKERS": "1"})
    [worker] = psutil.Process(web.pid).children()
    # Granian takes two ends of a worker within five seconds for a crash loop.

    worker.kill()

    deadline = time.monotonic() + 15
    while True:
        try:
            if httpx.get(f"{running.web_url}/health", timeout=2).status_code == 200:
                break
        except httpx.TransportError:
            assert time.monotonic() < deadline
        time.sleep(0.05)
    assert web.popen.poll() is None
    assert psutil.Process(web.pid).children() != [worker]


@pytest.mark.fault
def test_an_idle_connection_outlives_that_of_a_proxy(running: Processes) -> None:
    running.start("web")
    host, _, port = running.web_url.removeprefix("http://").partition(":")
    request = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(request)
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")

        time.sleep(62)

        connection.sendall(request)
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")


def test_only_connections_without_a_request_are_closed(running: Processes) -> None:
    running.start("web")
    host, _, port = running.web_url.removeprefix("http://").partition(":")
    request = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with ExitStack() as stack:
        silent, dripping, used, idle = (
            stack.enter_context(socket.create_connection((host, int(port)), timeout=20))
            for _ in range(4)
        )
        dripping.sendall(b"GET /health HTTP/1.1\r\nX-Slow: ")
        began = time.monotonic()
        idle.sendall(request)
        assert idle.recv(4096).startswith(b"HTTP/1.1 200")
        # Used again and again: in the end it is older than those that are closed.
        while time.monotonic() - began < 12:
            used.sendall(request)
            assert used.recv(4096).startswith(b"HTTP/1.1 200")
            time.sleep(0.05)

        assert silent.recv(1) == b""
        assert dripping.recv(1) == b""
        assert time.monotonic() - began < 16

        for connection in (used, idle):
            connection.sendall(request)
            assert connection.recv(4096).startswith(b"HTTP/1.1 200")
