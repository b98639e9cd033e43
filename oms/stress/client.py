"""Making the calls, many at once, each until it is answered."""

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

from oms.stress.requests import Call

# What speaks of the moment, not of the call: it is made again, with the same key.
_PASSING = frozenset({429, 502, 503, 504})
_LONGEST_PAUSE = 5.0
_READ_TIMEOUT = 30.0


@dataclass(kw_only=True)
class Outcome:
    """What became of a test's calls, by the notes of their orders.

    `acknowledged` maps notes to the ids that the answers named. `latencies` are the seconds from a
    call's first try to its answer. `statuses` counts the final answer for each order, `tries`
    those that were answered by a passing trouble or not at all before.
    """

    acknowledged: dict[str, str] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    unanswered: set[str] = field(default_factory=set)
    statuses: Counter[str] = field(default_factory=Counter)
    tries: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)
    seconds: float = 0.0


def make_calls(
    calls: Sequence[Call],
    *,
    base_url: str,
    tokens: Sequence[str],
    concurrency: int,
    timeout: float,
    answered: Callable[[int], None],
) -> Outcome:
    """Make all calls, `concurrency` at once, for at most `timeout` seconds.

    `answered` is called, by many threads, with the number of orders of each call that is through.
    What is not through when time is up counts as unanswered.
    """
    crowd = _Crowd(calls, base_url=base_url, tokens=tokens, timeout=timeout, answered=answered)
    began = time.monotonic()
    with ThreadPoolExecutor(concurrency) as threads:
        for future in [threads.submit(crowd.work) for _ in range(concurrency)]:
            future.result()
    crowd.outcome.seconds = time.monotonic() - began
    return crowd.outcome


class _Crowd:
    def __init__(
        self,
        calls: Sequence[Call],
        *,
        base_url: str,
        tokens: Sequence[str],
        timeout: float,
        answered: Callable[[int], None],
    ) -> None:
        self.outcome = Outcome()
        self._calls: Iterator[Call] = iter(calls)
        self._address = urlsplit(base_url).netloc
        self._tokens = tokens
        self._until = time.monotonic() + timeout
        self._answered = answered
        self._lock = threading.Lock()

    def work(self) -> None:
        """Make calls over one connection until there are none left."""
        # Not httpx: it takes longer for a call than the server does, on the same processors.
        connection = http.client.HTTPConnection(self._address, timeout=_READ_TIMEOUT)
        try:
            while (call := self._next()) is not None:
                self._make(call, connection)
        finally:
            connection.close()

    def _next(self) -> Call | None:
        with self._lock:
            return next(self._calls, None)

    def _make(self, call: Call, connection: http.client.HTTPConnection) -> None:
        began = time.monotonic()
        while (left := self._until - time.monotonic()) > 0:
            try:
                status, retry_after, answer = self._send(call, connection, timeout=left)
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                self._passing(type(error).__name__, pause=0.2)
                continue
            in_progress = status == 409 and answer.get("code") == "idempotency_in_progress"
            if status in _PASSING or in_progress:
                self._passing(str(status), pause=retry_after)
                continue
            self._take(call, status, answer, seconds=time.monotonic() - began)
            return
        with self._lock:
            self.outcome.unanswered.update(call.notes)
            self.outcome.statuses["unanswered"] += len(call.notes)

    def _send(
        self, call: Call, connection: http.client.HTTPConnection, *, timeout: float
    ) -> tuple[int, float, dict[str, Any]]:
        """The status, the seconds to wait before another try, and the body."""
        connection.timeout = min(timeout, _READ_TIMEOUT)
        headers = {
            "Authorization": f"Bearer {self._tokens[call.customer]}",
            "Content-Type": "application/json",
            "Idempotency-Key": call.key,
        }
        connection.request("POST", call.path, call.body, headers)
        response = connection.getresponse()
        body = response.read()
        try:
            answer = json.loads(body)
        except ValueError:
            answer = {}
        pause = response.headers.get("Retry-After", "")
        return response.status, float(pause) if pause.isdigit() else 0.2, answer

    def _passing(self, what: str, *, pause: float) -> None:
        with self._lock:
            self.outcome.tries[what] += 1
        time.sleep(max(0.0, min(pause, _LONGEST_PAUSE, self._until - time.monotonic())))

    def _take(self, call: Call, status: int, answer: dict[str, Any], *, seconds: float) -> None:
        if status == 207:
            results = [(int(result["status"]), result.get("order")) for result in answer["results"]]
        else:
            results = [(status, answer if status == 201 else None)] * len(call.notes)
        outcome = self.outcome
        with self._lock:
            outcome.latencies.append(seconds)
            for note, (of_order, order) in zip(call.notes, results, strict=True):
                outcome.statuses[str(of_order)] += 1
                if order is not None:
                    outcome.acknowledged[note] = str(order["id"])
                elif of_order < 500:
                    outcome.refused.add(note)
                else:
                    outcome.unanswered.add(note)
        self._answered(len(call.notes))
