"""Malformed and ambiguous HTTP at a real server: refused, and never read in two ways."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator

import httpx
import pytest
from websockets.sync.client import connect

from oms.events.models import Event
from oms.testing.factories import PASSWORD, make_customer, tokens_for
from oms.testing.processes import Processes

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


@pytest.fixture(scope="module")
def server(module_processes: Processes) -> Processes:
    """A web server that believes one proxy."""
    module_processes.start("web", {"TRUSTED_PROXIES": "1"})
    return module_processes


@pytest.fixture
def web(server: Processes, transactional_db: None) -> Iterator[Processes]:
    """The server, which is still well after the test."""
    yield server
    assert httpx.get(f"{server.web_url}/health", trust_env=False).status_code == 200


def statuses(web: Processes, request: bytes) -> list[int]:
    """The statuses of all answers to the bytes of `request`, until the connection is closed."""
    host, _, port = web.web_url.removeprefix("http://").partition(":")
    received = b""
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(request)
        connection.settimeout(1.5)
        try:
            while part := connection.recv(65536):
                received += part
        except (TimeoutError, ConnectionResetError):
            pass  # what it has said until then is all
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3})", received)]


HOST = b"Host: 127.0.0.1\r\n"
SMUGGLED = b"GET /api/v1/users/me HTTP/1.1\r\n" + HOST + b"Authorization: Bearer x\r\n\r\n"
AMBIGUOUS = {
    "two lengths": b"Content-Length: 2\r\nContent-Length: 0\r\n\r\n" + SMUGGLED,
    "a list of lengths": b"Content-Length: 2, 0\r\n\r\n" + SMUGGLED,
    "a length with a sign": b"Content-Length: +2\r\n\r\n{}",
    "a length in hexadecimal": b"Content-Length: 0x2\r\n\r\n{}",
    "a negative length": b"Content-Length: -1\r\n\r\n",
    "length and chunks": b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    + SMUGGLED,
    "a strange transfer coding": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "two transfer codings": b"Transfer-Encoding: identity, xx\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "a space before the colon": b"Content-Length : 2\r\n\r\n{}",
    "a folded header": b"X-A: b\r\n c\r\n\r\n",
    "a null in a header": b"X-A: a\x00b\r\n\r\n",
    "a header without a name": b": b\r\n\r\n",
    "no host": b"",
}


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_a_request_with_two_meanings_is_refused_whole(name: str, web: Processes) -> None:
    host = b"" if name == "no host" else HOST
    headers = AMBIGUOUS[name] or b"Content-Length: 2\r\n\r\n{}"
    request = b"POST /api/v1/auth/token HTTP/1.1\r\nContent-Type: application/json\r\n" + host

    answers = statuses(web, request + headers)

    assert len(answers) <= 1, answers  # the body is no request
    assert all(400 <= status < 500 or status == 501 for status in answers), answers


@pytest.mark.parametrize(
    "line",
    [
        b"GET /api/v1/products HTTP/9.9",
        b"GET /api/v1/pro ducts HTTP/1.1",
        b"GET /api/v1/products\x00 HTTP/1.1",
        b"G\x01T /api/v1/products HTTP/1.1",
        b"GET http://evil.example/api/v1/products HTTP/1.1",
        b"GET //evil.example/api/v1/products HTTP/1.1",
        b"CONNECT 127.0.0.1:1 HTTP/1.1",
        b"GET " + b"/a" * 40_000 + b" HTTP/1.1",
    ],
)
def test_a_strange_request_line_is_refused(line: bytes, web: Processes) -> None:
    answers = statuses(web, line + b"\r\n" + HOST + b"Connection: close\r\n\r\n")

    assert len(answers) <= 1
    if not line.startswith(b"GET http:"):  # RFC 9112, 3.2.2: its host counts, and is not ours
        assert all(400 <= status < 600 and status not in (500, 503) for status in answers), answers


def test_many_and_large_headers_are_refused(web: Processes) -> None:
    begin = b"GET /api/v1/products HTTP/1.1\r\n" + HOST + b"Connection: close\r\n"
    many = b"".join(b"X-%d: a\r\n" % number for number in range(20_000))
    large = b"X-A: " + b"a" * 2_000_000 + b"\r\n"

    for headers in (many, large):
        answers = statuses(web, begin + headers + b"\r\n")
        assert len(answers) <= 1
        assert all(400 <= status < 500 for status in answers), answers


def test_of_two_authorizations_none_counts(web: Processes) -> None:
    token = tokens_for(make_customer()).access
    valid, wrong = f"Bearer {token}", "Bearer garbage"
    for pair in ([valid, wrong], [wrong, valid], [valid, valid]):
        headers = [("Authorization", one) for one in pair]
        for path in ("/api/v1/orders", "/api/v1/users/me", "/api/v1/stream?topics=orders"):
            answer = httpx.get(f"{web.web_url}{path}", headers=headers, trust_env=False)
            assert answer.status_code == 401, (pair, path)
        with connect(
            f"{web.web_url.replace('http', 'ws', 1)}/api/v1/ws",
            additional_headers=headers,
            proxy=None,
        ) as wire:
            assert json.loads(wire.recv(timeout=10))["status"] == 401, pair
    answer = httpx.get(
        f"{web.web_url}/api/v1/orders", headers={"Authorization": valid}, trust_env=False
    )
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "forged",
    [
        [("X_Forwarded_For", "6.6.6.6")],
        [("x_forwarded-for", "6.6.6.6")],
        [("X-Forwarded-For", "6.6.6.6")],
    ],
)
def test_no_header_that_looks_like_the_proxys_replaces_it(
    forged: list[tuple[str, str]], web: Processes
) -> None:
    by_proxy = ("X-Forwarded-For", "198.51.100.4")
    body = {"email": "new@example.com", "password": PASSWORD, "full_name": "N"}

    answer = httpx.post(
        f"{web.web_url}/api/v1/users", json=body, headers=[*forged, by_proxy], trust_env=False
    )

    assert answer.status_code == 201
    assert Event.objects.get(type="user.registered").ip == "198.51.100.4"
