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

_DRAIN_SECONDS = 15.0
_MAX_WAIT = 0.5
_READ = 1 << 18
_MAX_SAMPLES, _MAX_EXAMPLES, _MAX_BROKEN = 300, 5, 1_000
_NO_BODY = {b"204", b"304"}


@dataclass(frozen=True, kw_only=True)
class Job:
    """What to send to `port` of this machine.

    `requests` are [head, tail, check], sent in turn: ISO 8859-1 texts with a unique number between
    head and tail, unless tail is null. `check` describes the body of a good answer: {"list": name,
    "length": n, "status": of each element or null}, {"has": name} or {"empty": true}. `status` is
    that of a good answer; the body of one answer in `sample` is checked. `seconds` are measured
    after `warm_up` seconds. `rate` is requests a second, null for a closed loop.
    """

    port: int
    connections: int
    seconds: float
    warm_up: float
    first_number: int
    requests: list[list[Any]]
    status: int
    sample: int
    rate: float | None = None


class _Connection:
    __slots__ = ("began", "check", "pending", "socket")

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.pending = b""
        self.began = 0.0
        self.check: Any = None


class _Run:
    def __init__(self, job: Job) -> None:
        self.job = job
        self.requests = [
            (head.encode("latin-1"), None if tail is None else tail.encode("latin-1"), check)
            for head, tail, check in job.requests
        ]
        self.expected = str(job.status).encode()
        self.number = job.first_number
        self.poll = select.epoll()
        self.open: dict[int, _Connection] = {}
        self.idle: list[_Connection] = []
        self.due = self.window = self.stop = 0.0
        self.latencies = array("d")
        self.statuses: Counter[bytes] = Counter()
        self.samples: list[tuple[Any, bytes]] = []
        self.examples: list[str] = []
        self.answered = self.in_window = self.broken = 0

    def drive(self) -> None:
        """Send until time is up, then wait for the remaining answers."""
        for _ in range(self.job.connections):
            self._connect()
        self.due = time.perf_counter()
        self.window = self.due + self.job.warm_up
        self.stop = self.window + self.job.seconds
        while True:
            now = time.perf_counter()
            wait = self._send_due(now)
            if not self.open:
                return
            if now > self.stop + _DRAIN_SECONDS:
                self.broken += len(self.open)
                self._note(f"{len(self.open)} requests were not answered")
                return
            for number, _ in self.poll.poll(wait):
                if connection := self.open.get(number):
                    self._receive(connection)

    def _send_due(self, now: float) -> float:
        """Send on idle connections what is due; returns the seconds until the next is due."""
        rate = self.job.rate
        if now >= self.stop:
            while self.idle:
                self._close(self.idle.pop())
            return _MAX_WAIT
        while self.idle and (rate is None or self.due <= now):
            if rate is None:
                self._send(self.idle.pop(), now)
            else:
                self._send(self.idle.pop(0), self.due)
                self.due += 1 / rate
        return max(0.0, min(self.due - now, _MAX_WAIT)) if self.idle else _MAX_WAIT

    def _send(self, connection: _Connection, due: float) -> None:
        number = self.number
        self.number = number + 1
        head, tail, connection.check = self.requests[number % len(self.requests)]
        connection.began = due
        try:
            connection.socket.sendall(head if tail is None else b"%b%d%b" % (head, number, tail))
        except OSError as error:
            # The server has closed it; the next read replaces it.
            self._note(f"could not send: {error}")

    def _receive(self, connection: _Connection) -> None:
        try:
            data = connection.socket.recv(_READ)
        except OSError:
            data = b""
        if not data:
            self._replace(connection)
            return
        if connection.pending:
            data = connection.pending + data
        if not _is_complete(data):
            connection.pending = data
            return
        now = time.perf_counter()
        connection.pending = b""
        status = data[9:12]
        self.statuses[status] += 1
        self.answered += 1
        if connection.began >= self.window:
            self.latencies.append(now - connection.began)
        if self.window <= now < self.stop:
            self.in_window += 1
        if status != self.expected:
            self._note(f"answered {data[:2000].decode('latin-1')}")
        elif not self.answered % self.job.sample and len(self.samples) < _MAX_SAMPLES:
            self.samples.append((connection.check, data))
        self.idle.append(connection)
        self._send_due(now)

    def _connect(self) -> None:
        connection = _Connection(self.job.port)
        self.open[connection.socket.fileno()] = connection
        self.poll.register(connection.socket, select.EPOLLIN)
        self.idle.append(connection)

    def _replace(self, connection: _Connection) -> None:
        """Replace a connection that the server has closed, which it may if it is idle."""
        if connection in self.idle:
            self.idle.remove(connection)
        else:
            self.broken += 1
            self._note("the server closed a connection that waited for an answer")
        self._close(connection)
        if time.perf_counter() < self.stop and self.broken < _MAX_BROKEN:
            self._connect()

    def _close(self, connection: _Connection) -> None:
        del self.open[connection.socket.fileno()]
        connection.socket.close()

    def _note(self, problem: str) -> None:
        if len(self.examples) < _MAX_EXAMPLES:
            self.examples.append(problem)


def _is_complete(data: bytes) -> bool:
    """Whether `data` is a whole answer."""
    head = data.find(b"\r\n\r\n")
    if head < 0:
        return False
    _, found, rest = data[: head + 2].lower().partition(b"\r\ncontent-length:")
    if found:
        return len(data) >= head + 4 + int(rest.partition(b"\r\n")[0])
    if data[9:12] in _NO_BODY:
        return True
    raise ValueError(f"An answer without a length: {data[:200]!r}")


def _body_problem(check: dict[str, Any], data: bytes) -> str | None:
    """What is wrong with the body of an answer; None if nothing is."""
    body = data.partition(b"\r\n\r\n")[2]
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

    The report has `answered` (all answers), `rate` (a second, of the measured seconds), `statuses`
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
    ordered = sorted(run.latencies) or [0.0]

    def percentile(share: float) -> float:
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))]

    return {
        "answered": run.answered,
        "rate": run.in_window / job.seconds,
        "statuses": {status.decode(): number for status, number in run.statuses.items()},
        "unexpected": run.answered - run.statuses[run.expected] + run.broken + len(wrong),
        "broken": run.broken,
        "examples": (run.examples + wrong)[:_MAX_EXAMPLES],
        "checked": len(run.samples),
        **{f"p{percent}": percentile(percent / 100) for percent in (50, 90, 99)},
        "max": ordered[-1],
        "cpu": cpu,
    }


if __name__ == "__main__":
    json.dump(report(Job(**json.load(sys.stdin))), sys.stdout)
