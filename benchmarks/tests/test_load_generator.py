"""The loader counts what servers answer, however they send it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.load_generator import Job, report

_BODY = b'{"items":[{"id":1},{"id":2}]}'
_PLAIN = b"HTTP/1.1 201 Created\r\nContent-Length: %d\r\n\r\n%b" % (len(_BODY), _BODY)
_Answer = Callable[[socket.socket, bytes], None]


@contextmanager
def _server(answer: _Answer) -> Iterator[int]:
    """The port of a server that calls `answer` with each request, a thread for each connection."""

    def serve(connection: socket.socket) -> None:
        with connection:
            try:
                while request := connection.recv(65_536):
                    answer(connection, request)
            except OSError:
                return  # the loader has closed it

    def accept(listening: socket.socket) -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return  # the test is over
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=accept, args=(listening,), daemon=True).start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)


def _report(answer: _Answer, **changes: Any) -> dict[str, Any]:
    with _server(answer) as port:
        job = {
            "port": port,
            "connections": 2,
            "seconds": 0.2,
            "warm_up": 0.05,
            "first_number": 100,
            "requests": [["POST / HTTP/1.1\r\nKey: ", "\r\n\r\n", {"list": "items", "length": 2}]],
            "status": 201,
            "sample": 1,
        }
        return report(Job(**{**job, **changes}))


def test_answers_are_counted_and_read() -> None:
    result = _report(lambda connection, request: connection.sendall(_PLAIN))

    assert result["statuses"] == {"201": result["answered"]}
    assert result["answered"] > 10
    assert result["unexpected"] == 0
    assert 0 < result["checked"] <= 300
    assert 0 < result["p50"] <= result["p99"] <= result["max"]


def test_every_request_has_a_number_of_its_own() -> None:
    numbers: list[bytes] = []

    def answer(connection: socket.socket, request: bytes) -> None:
        numbers.append(request.partition(b"Key: ")[2].partition(b"\r\n")[0])
        connection.sendall(_PLAIN)

    result = _report(answer)

    assert len(set(numbers)) == len(numbers) >= result["answered"]
    assert min(numbers) == b"100"


def test_an_answer_in_several_packets_counts_once() -> None:
    def answer(connection: socket.socket, request: bytes) -> None:
        for part in (_PLAIN[:5], _PLAIN[5:30], _PLAIN[30:]):
            connection.sendall(part)
            time.sleep(0.002)

    result = _report(answer)

    assert result["answered"] > 5
    assert result["unexpected"] == 0


def test_a_status_that_was_not_expected_is_reported() -> None:
    refusal = b"HTTP/1.1 409 Conflict\r\nContent-Length: 5\r\n\r\nshort"

    result = _report(lambda connection, request: connection.sendall(refusal))

    assert result["unexpected"] == result["answered"] > 0
    assert "409 Conflict" in result["examples"][0]


def test_an_answer_with_too_few_items_is_reported() -> None:
    result = _report(
        lambda connection, request: connection.sendall(_PLAIN),
        requests=[["GET / HTTP/1.1\r\n\r\n", None, {"list": "items", "length": 3}]],
    )

    assert result["unexpected"] == result["checked"] > 0
    assert "not 3 items" in result["examples"][0]


def test_a_closed_connection_is_reported() -> None:
    result = _report(lambda connection, request: connection.shutdown(socket.SHUT_RDWR))

    assert result["answered"] == 0
    assert result["unexpected"] == result["broken"] > 0


def test_a_steady_rate_is_kept_by_a_faster_server() -> None:
    result = _report(
        lambda connection, request: connection.sendall(_PLAIN), rate=100, seconds=1.0, warm_up=0.0
    )

    assert 90 <= result["answered"] <= 101
    assert result["unexpected"] == 0


def test_at_a_steady_rate_a_pause_of_the_server_counts_for_all_who_had_to_wait() -> None:
    paused = threading.Event()

    def answer(connection: socket.socket, request: bytes) -> None:
        if not paused.is_set():
            paused.set()
            time.sleep(0.5)
        connection.sendall(_PLAIN)

    result = _report(answer, rate=50, connections=1, seconds=0.8, warm_up=0.0)

    # 25 of 40 requests were due while the one connection waited, the first for the whole pause.
    assert result["p50"] > 0.02
    assert 0.3 < result["p90"] < result["max"]
