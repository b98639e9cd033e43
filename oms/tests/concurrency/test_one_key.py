"""Idempotency keys on real servers: several processes, real connections."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from django.contrib.auth import get_user_model

from oms.testing.processes import Processes

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(module_processes: Processes) -> Processes:
    """A web server of two processes without a limit on registrations."""
    module_processes.start("web", {"WEB_WORKERS": "2", "RATE_LIMIT_REGISTER": "100000/minute"})
    return module_processes


@pytest.fixture
def web(server: Processes, transactional_db: None) -> Processes:
    return server


def test_one_key_in_a_hundred_parallel_calls_to_two_processes_has_one_effect(
    web: Processes,
) -> None:
    body = {"email": "one@example.com", "password": "correct horse 9", "full_name": "One"}

    def register(_: int) -> httpx.Response:
        with httpx.Client(base_url=web.web_url, timeout=20) as client:
            return client.post("/api/v1/users", json=body, headers={"Idempotency-Key": "one"})

    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(register, range(100)))

    statuses = {answer.status_code for answer in answers}
    assert statuses <= {201, 409}, [answer.text for answer in answers if answer.status_code >= 500]
    assert {a.json()["code"] for a in answers if a.status_code == 409} <= {
        "idempotency_in_progress"
    }
    done = [answer for answer in answers if answer.status_code == 201]
    assert len({answer.content for answer in done}) == 1
    assert sum("Idempotent-Replayed" not in answer.headers for answer in done) == 1
    assert get_user_model().objects.filter(email="one@example.com").count() == 1
    # Afterwards everyone gets the answer of the first.
    assert register(0).headers["Idempotent-Replayed"] == "true"


def raw(web: Processes, request: bytes) -> bytes:
    """What the server answers to the bytes of `request`."""
    host, _, port = web.web_url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(request)
        connection.settimeout(10)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
        return answer


STRANGE = {
    b"POST /api/v1/users HTTP/1.1\r\nTransfer-Encoding: chunked\r\n": b"411",
    b"POST /api/v1/users HTTP/1.1\r\nContent-Length: 99999999\r\n": b"413",
    b"GET /api/v1/products/%00 HTTP/1.1\r\n": b"400",
    b"GET /api/v1/products?search=%00 HTTP/1.1\r\n": b"400",
    b"GET /api/v1/products/%ff%fe HTTP/1.1\r\n": b"404",
    b"BREW /api/v1/products HTTP/1.1\r\n": b"405",
    b"GET /api/v1/nothing HTTP/1.1\r\n": b"404",
}


def test_malformed_requests_are_rejected_with_a_problem(web: Processes) -> None:
    for head, status in STRANGE.items():
        body = b"2\r\n{}\r\n0\r\n\r\n" if b"chunked" in head else b""

        answer = raw(web, head + b"Host: 127.0.0.1\r\nConnection: close\r\n\r\n" + body)

        assert answer.split(b" ", 2)[1] == status, (head, answer)
        assert b"application/problem+json" in answer
        assert b"x-request-id" in answer.lower()


def test_a_request_of_each_kind_writes_one_line_of_json_without_secrets(web: Processes) -> None:
    [server] = web.running()
    before = len(server.log_text())

    def post(path: str, body: dict[str, Any]) -> None:
        httpx.post(f"{web.web_url}{path}", json=body, timeout=20)

    post("/api/v1/users", {"email": "log@example.com", "password": "tulip-window-9", "x": 1})
    post("/api/v1/auth/token", {"email": "log@example.com", "password": "tulip-window-9"})

    log = server.log_text()[before:]
    lines = [line for line in log.splitlines() if '"event":"request"' in line]
    assert sum("/api/v1/users" in line for line in lines) == 1
    assert sum("/api/v1/auth/token" in line for line in lines) == 1
    assert "tulip" not in server.log_text()
