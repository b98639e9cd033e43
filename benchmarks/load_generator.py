"""Sends prepared HTTP/1.1 requests over keep-alive connections, as cheaply as Python can.

A script of its own, so that its CPU time is known and is not the shop's; it imports only the
standard library. It reads a `Job` as JSON from standard input and writes the `report` as JSON to
standard output. Each connection has one request in flight. It sends the next one when that is
answered (a closed loop) or, at a fixed rate, when one is due; latencies then count from the due
time, so that a stalled server is not spared (no coordinated omission).
"""

from __future__ import annotations

import gc
import json
import select
import socket
import sys
import time
from array import array
from collections import Counter
from dataclasses import dataclass
from typing import Any

_MAX_SECONDS = 900.0
_MAX_CONNECTIONS = 1024
_DRAIN_SECONDS = 15.0
_READ = 1 << 18
_MAX_SAMPLES = 300
_MAX_EXAMPLES = 5
_NO_BODY = {b"204", b"304"}


@dataclass(frozen=True, kw_only=True)
class Job:
    """What to send.

    `requests` are [head, tail, check], sent in turn: ISO 8859-1 texts with a unique number between
    head and tail, unless tail is null. `check` describes the body of a good answer: {"list": name,
    "length": n, "status": of each element or null}, {"has": name} or {"empty": true}. `expected`
    are the good statuses; the body of one answer in `sample` is checked. `seconds` are measured
    after `warm_up` seconds. `rate` is requests a second, null for a closed loop.
    """

    port: int
    connections: int
    seconds: float
    warm_up: float
    first_number: int
    requests: list[list[Any]]
    expected: list[int]
    sample: int
    rate: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.seconds + self.warm_up <= _MAX_SECONDS:
            raise ValueError(f"A run takes at most {_MAX_SECONDS:.0f} seconds.")
        if not 1 <= self.connections <= _MAX_CONNECTIONS:
            raise ValueError(f"There may be 1 to {_MAX_CONNECTIONS} connections.")
        if self.rate is not None and self.rate <= 0:
            raise ValueError("The rate must be above zero.")


class _Connection:
    __slots__ = ("began", "check", "pending", "recv", "send", "socket")

    def __init__(self, port: int) -> None:
        # Only ever this machine.
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=5)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        self.socket.setblocking(False)
        self.recv, self.send = self.socket.recv, self.socket.send
        self.pending = b""
        self.began = 0.0
        self.check: Any = None

    def send_rest(self, rest: bytes) -> None:
        """Send what did not fit into the socket's buffer, which only large bodies do not."""
        self.socket.settimeout(5)
        self.socket.sendall(rest)
        self.socket.setblocking(False)


class _Run:
    def __init__(self, job: Job) -> None:
        self.job = job
        self.requests = [
            (head.encode("latin-1"), None if tail is None else tail.encode("latin-1"), check)
            for head, tail, check in job.requests
        ]
        self.expected = {str(status).encode() for status in job.expected}
        self.latencies = array("d")
        self.statuses: Counter[bytes] = Counter()
        self.samples: list[tuple[Any, bytes]] = []
        self.examples: list[str] = []
        self.broken = 0
        self.answered = 0
        self.in_window = 0
        self.number = job.first_number
        self.poll = select.epoll()
        self.open: dict[int, _Connection] = {}
        self.idle: list[_Connection] = []  # idle and due are used at a fixed rate only
        self.due = 0.0

    def drive(self) -> None:
        """Send until time is up, then wait for the remaining answers."""
        job, poll, opened, latencies = self.job, self.poll, self.open, self.latencies
        statuses, expected, clock = self.statuses, self.expected, time.perf_counter
        for _ in range(job.connections):
            self._connect()
        window = clock() + job.warm_up
        stop = window + job.seconds
        if job.rate is None:
            for connection in opened.values():
                self._send(connection, clock())
        else:
            self.idle, self.due = list(opened.values()), clock()
        while opened:
            for number, _ in poll.poll(0.5 if job.rate is None else self._send_due(stop)):
                connection = opened[number]
                try:
                    data = connection.recv(_READ)
                except BlockingIOError:
                    continue
                except OSError:
                    data = b""
                if not data:
                    self._replace(connection, stop)
                    continue
                if connection.pending:
                    data = connection.pending + data
                head = data.find(b"\r\n\r\n")
                if head < 0 or not _is_complete(data, head):
                    connection.pending = data
                    continue
                now = clock()
                connection.pending = b""
                status = data[9:12]
                statuses[status] += 1
                self.answered += 1
                if connection.began >= window:
                    latencies.append(now - connection.began)
                if window <= now < stop:
                    self.in_window += 1
                if status not in expected:
                    self._note(f"answered {data[:2000].decode('latin-1')}")
                elif not self.answered % job.sample and len(self.samples) < _MAX_SAMPLES:
                    self.samples.append((connection.check, data))
                if now >= stop:
                    self._close(connection)
                elif job.rate is None:
                    self._send(connection, now)
                else:
                    self.idle.append(connection)
            if clock() > stop + _DRAIN_SECONDS:
                self.broken += len(opened)
                self._note(f"{len(opened)} requests were not answered")
                break

    def _send_due(self, stop: float) -> float:
        """Send what is due on idle connections; returns the seconds until the next is due."""
        assert self.job.rate is not None
        now = time.perf_counter()
        if now >= stop:
            while self.idle:
                self._close(self.idle[-1])
            return 0.5
        while self.idle and self.due <= now:
            self._send(self.idle.pop(0), self.due)
            self.due += 1 / self.job.rate
        return max(0.0, min(self.due, stop) - now) if self.idle else 0.5

    def _connect(self) -> _Connection:
        connection = _Connection(self.job.port)
        self.open[connection.socket.fileno()] = connection
        self.poll.register(connection.socket, select.EPOLLIN)
        return connection

    def _send(self, connection: _Connection, now: float) -> None:
        number = self.number
        self.number = number + 1
        head, tail, connection.check = self.requests[number % len(self.requests)]
        data = head if tail is None else b"%b%d%b" % (head, number, tail)
        connection.began = now
        try:
            sent = connection.send(data)
            if sent < len(data):
                connection.send_rest(data[sent:])
        except OSError as error:
            # The server has closed it; the next read replaces it.
            self._note(f"could not send: {error}")

    def _replace(self, connection: _Connection, stop: float) -> None:
        if connection not in self.idle:  # the server may close idle ones
            self.broken += 1
            self._note("the server closed a connection that waited for an answer")
        self._close(connection)
        now = time.perf_counter()
        if now < stop and self.broken < 1_000:
            if self.job.rate is None:
                self._send(self._connect(), now)
            else:
                self.idle.append(self._connect())

    def _close(self, connection: _Connection) -> None:
        if connection in self.idle:
            self.idle.remove(connection)
        self.poll.unregister(connection.socket)
        del self.open[connection.socket.fileno()]
        connection.socket.close()

    def _note(self, problem: str) -> None:
        if len(self.examples) < _MAX_EXAMPLES:
            self.examples.append(problem)


def _is_complete(data: bytes, head: int) -> bool:
    """Whether `data`, whose headers end at `head`, is a whole answer."""
    fields = data[:head].lower()
    at = fields.find(b"\r\ncontent-length:")
    if at >= 0:
        end = fields.find(b"\r\n", at + 17)
        return len(data) >= head + 4 + int(fields[at + 17 : end if end > 0 else head])
    if data[9:12] in _NO_BODY:
        return True
    if b"\r\ntransfer-encoding: chunked" in fields:
        return data.endswith(b"0\r\n\r\n")
    raise ValueError(f"An answer without a length: {data[:200]!r}")


def _body(data: bytes) -> bytes:
    head, _, body = data.partition(b"\r\n\r\n")
    if b"\r\ntransfer-encoding: chunked" not in head.lower():
        return body
    chunks = []
    while body:
        size, _, rest = body.partition(b"\r\n")
        chunks.append(rest[: int(size, 16)])
        body = rest[int(size, 16) + 2 :]
    return b"".join(chunks)


def _body_problem(check: dict[str, Any], data: bytes) -> str | None:
    """What is wrong with the body of an answer; None if nothing is."""
    body = _body(data)
    if check.get("empty"):
        return f"a body where none should be: {body[:200]!r}" if body else None
    document = json.loads(body)
    if name := check.get("has"):
        return None if document.get(name) else f"no {name} in {body[:500]!r}"
    found = document.get(check["list"])
    if not isinstance(found, list) or len(found) != check["length"]:
        return f"not {check['length']} {check['list']} in {body[:500]!r}"
    status = check.get("status")
    if status is not None and (bad := [one for one in found if one.get("status") != status]):
        return f"{len(bad)} of {len(found)} had another status: {bad[0]!r}"[:1000]
    return None


def report(job: Job) -> dict[str, Any]:
    """Run the job.

    Returns `answered` (all answers), `rate` (answers a second after the warm-up), `statuses`
    (their numbers), `broken` (lost connections), `unexpected` (all bad answers), `examples` (texts
    about the first few), `checked` (bodies), `p50`, `p90`, `p99`, `max` (seconds) and `cpu`
    (seconds of this process).
    """
    run = _Run(job)
    gc.collect()
    gc.disable()
    before = time.process_time()
    run.drive()
    cpu = time.process_time() - before
    gc.enable()
    wrong = [problem for check, data in run.samples if (problem := _body_problem(check, data))]
    ordered = sorted(run.latencies)
    unexpected = sum(n for status, n in run.statuses.items() if status not in run.expected)

    def percentile(share: float) -> float:
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0

    return {
        "answered": run.answered,
        "rate": run.in_window / job.seconds,
        "statuses": {status.decode(): number for status, number in run.statuses.items()},
        "unexpected": unexpected + run.broken + len(wrong),
        "broken": run.broken,
        "examples": (run.examples + wrong)[:_MAX_EXAMPLES],
        "checked": len(run.samples),
        "p50": percentile(0.50),
        "p90": percentile(0.90),
        "p99": percentile(0.99),
        "max": ordered[-1] if ordered else 0.0,
        "cpu": cpu,
    }


if __name__ == "__main__":
    json.dump(report(Job(**json.load(sys.stdin))), sys.stdout)
