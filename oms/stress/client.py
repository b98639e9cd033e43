"""Sending requests concurrently, each until it has a final answer."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from oms.stress.requests import OrderRequest

# Temporary failures: the request is sent again with the same idempotency key.
_RETRIED = frozenset({429, 502, 503, 504})
_MAX_PAUSE = 5.0
_READ_TIMEOUT = 30.0


@dataclass(kw_only=True)
class Outcome:
    """The answers by the notes of their orders.

    `acknowledged` maps notes to order ids. `latencies` are the seconds from the first attempt of a
    request to its final answer. `statuses` counts the final answers of orders, `retries` the
    temporary failures before.
    """

    acknowledged: dict[str, str] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    unanswered: set[str] = field(default_factory=set)
    statuses: Counter[str] = field(default_factory=Counter)
    retries: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)
    seconds: float = 0.0


def send_requests(
    requests: Sequence[OrderRequest],
    *,
    base_url: str,
    tokens: Sequence[str],
    concurrency: int,
    timeout: float,
    answered: Callable[[int], None],
) -> Outcome:
    """Send all requests, `concurrency` at once, for at most `timeout` seconds.

    `answered` is called, by many threads, with the number of orders of each finished request. A
    request that is not finished in time is unanswered.
    """
    clients = _Clients(
        requests, base_url=base_url, tokens=tokens, timeout=timeout, answered=answered
    )
    began = time.monotonic()
    with ThreadPoolExecutor(concurrency) as threads:
        for future in [threads.submit(clients.run) for _ in range(concurrency)]:
            future.result()
    clients.outcome.seconds = time.monotonic() - began
    return clients.outcome


class _Clients:
    def __init__(
        self,
        requests: Sequence[OrderRequest],
        *,
        base_url: str,
        tokens: Sequence[str],
        timeout: float,
        answered: Callable[[int], None],
    ) -> None:
        self.outcome = Outcome()
        self._requests: Iterator[OrderRequest] = iter(requests)
        self._address = urlsplit(base_url).netloc
        self._tokens = tokens
        self._until = time.monotonic() + timeout
        self._answered = answered
        self._lock = threading.Lock()

    def run(self) -> None:
        """Send requests over one connection until none is left."""
        # httpx uses more CPU for a request than the server does, on the same processors.
        connection = http.client.HTTPConnection(self._address, timeout=_READ_TIMEOUT)
        try:
            while (request := self._next()) is not None:
                self._send_until_final(request, connection)
        finally:
            connection.close()

    def _next(self) -> OrderRequest | None:
        with self._lock:
            return next(self._requests, None)

    def _send_until_final(
        self, request: OrderRequest, connection: http.client.HTTPConnection
    ) -> None:
        began = time.monotonic()
        while (left := self._until - time.monotonic()) > 0:
            try:
                status, retry_after, answer = self._send(request, connection, timeout=left)
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                self._retry(type(error).__name__, pause=0.2)
                continue
            in_progress = status == 409 and answer.get("code") == "idempotency_in_progress"
            if status in _RETRIED or in_progress:
                self._retry(str(status), pause=retry_after)
                continue
            self._record(request, status, answer, seconds=time.monotonic() - began)
            return
        with self._lock:
            self.outcome.unanswered.update(request.notes)
            self.outcome.statuses["unanswered"] += len(request.notes)

    def _send(
        self, request: OrderRequest, connection: http.client.HTTPConnection, *, timeout: float
    ) -> tuple[int, float, dict[str, Any]]:
        """The status, the seconds to wait before the next attempt, and the body."""
        connection.timeout = min(timeout, _READ_TIMEOUT)
        headers = {
            "Authorization": f"Bearer {self._tokens[request.customer]}",
            "Content-Type": "application/json",
            "Idempotency-Key": request.key,
        }
        connection.request("POST", request.path, request.body, headers)
        response = connection.getresponse()
        body = response.read()
        try:
            answer = json.loads(body)
        except ValueError:
            answer = {}
        pause = response.headers.get("Retry-After", "")
        return response.status, float(pause) if pause.isdigit() else 0.2, answer

    def _retry(self, reason: str, *, pause: float) -> None:
        with self._lock:
            self.outcome.retries[reason] += 1
        time.sleep(max(0.0, min(pause, _MAX_PAUSE, self._until - time.monotonic())))

    def _record(
        self, request: OrderRequest, status: int, answer: dict[str, Any], *, seconds: float
    ) -> None:
        if status == 207:
            results = [(int(result["status"]), result.get("order")) for result in answer["results"]]
        else:
            results = [(status, answer if status == 201 else None)] * len(request.notes)
        outcome = self.outcome
        with self._lock:
            outcome.latencies.append(seconds)
            for note, (order_status, order) in zip(request.notes, results, strict=True):
                outcome.statuses[str(order_status)] += 1
                if order is not None:
                    outcome.acknowledged[note] = str(order["id"])
                elif order_status < 500:
                    outcome.refused.add(note)
                else:
                    outcome.unanswered.add(note)
        self._answered(len(request.notes))
