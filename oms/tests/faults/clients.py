"""Clients of the shop that record every call and its reply."""

from __future__ import annotations

import itertools
import threading
import time
import uuid
from collections import Counter
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import httpx

from oms.tests.faults.shop import Shop

# The demo shop's customers, who share a password.
_PASSWORD = "customer-demo-1"
_ADDRESS = {
    "name": "Fault Test",
    "line1": "1 Test Street",
    "city": "Berlin",
    "postal_code": "10115",
    "country": "DE",
}
_TOKEN_SECONDS = 600.0
_RESOLVERS = 8
# Longer than every deadline of the shop.
_TIMEOUT = 20.0


class Reply(StrEnum):
    """What the shop replied to a call."""

    OK = "ok"
    REFUSED = "refused"  # by an answer below 500
    UNKNOWN = "unknown"  # a 5xx, or no answer


@dataclass(kw_only=True)
class Call:
    """One call: an order to place under an idempotency key."""

    key: str
    body: dict[str, Any]
    token: str
    sent: float
    """When it was sent, of `time.monotonic()`."""
    reply: Reply = Reply.UNKNOWN
    status: int | str = ""
    """The HTTP status, or the name of the transport's error."""
    order_id: str | None = None
    seconds: float = 0.0
    retry_after: bool = False

    def answered(self, status: int, body: Any, *, retry_after: bool) -> None:
        """Record the shop's answer; `body` is its JSON."""
        self.status, self.retry_after = status, retry_after
        if status == httpx.codes.CREATED:
            self.reply, self.order_id = Reply.OK, body["id"]
        elif status < httpx.codes.INTERNAL_SERVER_ERROR and not is_temporary(status, body):
            self.reply = Reply.REFUSED


def accepted(calls: Collection[Call]) -> list[str]:
    """The ids of the orders that were acknowledged."""
    return [call.order_id for call in calls if call.reply is Reply.OK and call.order_id]


@dataclass(kw_only=True)
class Record:
    """All calls of an experiment, in the order in which they ended."""

    calls: list[Call] = field(default_factory=list)

    def replied(self, reply: Reply) -> list[Call]:
        return [call for call in self.calls if call.reply is reply]

    def statuses(self) -> Counter[int | str]:
        return Counter(call.status for call in self.calls)

    def rate(self, *, since: float, until: float) -> float:
        """Accepted orders a second that were sent between two times of `time.monotonic()`."""
        accepted = [call for call in self.replied(Reply.OK) if since <= call.sent < until]
        return len(accepted) / (until - since)


class Buyers:
    """Customers who place orders, from several threads, and try each call once.

    `resolve` settles the calls that were left without a definite answer as a careful client does:
    again, with the same idempotency key.
    """

    def __init__(self, shop: Shop, *, customers: int = 8, url: str = "") -> None:
        # Of another web process than the shop's first.
        self._url = url or shop.url
        self._emails = [
            email
            for (email,) in shop.rows(
                "SELECT email FROM users_user WHERE NOT is_staff AND is_active"
                " AND email LIKE '%%@example.com' ORDER BY id LIMIT %s",
                [customers],
            )
        ]
        self._tokens: list[str] = []
        self._customers: dict[str, int] = {}
        self._logged_in_at = 0.0
        self.record = Record()
        self._lock = threading.Lock()

    def log_in(self) -> None:
        """Get new access tokens. HTTPStatusError if the shop refuses."""
        with httpx.Client(base_url=self._url, timeout=_TIMEOUT) as client:
            tokens = []
            for email in self._emails:
                answer = client.post(
                    "/api/v1/auth/token", json={"email": email, "password": _PASSWORD}
                )
                answer.raise_for_status()
                tokens.append(answer.json()["access"])
        self._tokens, self._logged_in_at = tokens, time.monotonic()
        self._customers |= {token: number for number, token in enumerate(tokens)}

    def tokens(self) -> list[str]:
        """Access tokens, one of each customer, which are valid for five minutes or more."""
        with self._lock:
            if time.monotonic() - self._logged_in_at > _TOKEN_SECONDS:
                try:
                    self.log_in()
                except httpx.HTTPError:
                    # In the midst of a fault the old ones do: they live for five minutes more.
                    if not self._tokens:
                        raise
        return self._tokens

    def customer_id(self, token: str) -> str:
        """The id of the customer whose access token it is."""
        with self.client() as client:
            answer = client.get("/api/v1/users/me", headers={"Authorization": f"Bearer {token}"})
            return str(answer.raise_for_status().json()["id"])

    def client(self) -> httpx.Client:
        """A client for `place`."""
        return httpx.Client(base_url=self._url, timeout=_TIMEOUT)

    def place(
        self, client: httpx.Client, body: dict[str, Any], *, token: str, key: str | None = None
    ) -> Call:
        """Place one order, once, and record what came of it."""
        key = key or str(uuid.uuid4())
        # The note shows in the database which call an order is of.
        call = Call(key=key, body={**body, "note": key}, token=token, sent=time.monotonic())
        self._send(client, call)
        with self._lock:
            self.record.calls.append(call)
        return call

    def repeat(self, client: httpx.Client, call: Call) -> Call:
        """Send `call` once more, under its key, and return what came of that."""
        again = replace(call, reply=Reply.UNKNOWN, order_id=None, sent=time.monotonic())
        self._send(client, again)
        return again

    @contextmanager
    def placing(
        self,
        products: list[str],
        *,
        threads: int = 4,
        rate: float | None = None,
        payment_token: str = "tok_success",  # noqa: S107
    ) -> Iterator[None]:
        """Place orders of one unit from `threads` threads while the block runs.

        `rate` bounds the orders a second of all threads together.
        """
        self.tokens()
        stop = threading.Event()
        numbers = itertools.count()
        began = time.monotonic()

        def work(thread: int) -> None:
            with httpx.Client(base_url=self._url, timeout=_TIMEOUT) as client:
                while not stop.is_set():
                    number = next(numbers)
                    if rate is not None:
                        stop.wait(max(0.0, began + number / rate - time.monotonic()))
                    body = order_body(
                        (products[number % len(products)], 1), payment_token=payment_token
                    )
                    tokens = self.tokens()
                    token = tokens[thread % len(tokens)]
                    if self.place(client, body, token=token).reply is Reply.UNKNOWN:
                        stop.wait(0.1)

        workers = [
            threading.Thread(target=work, args=(number,), daemon=True) for number in range(threads)
        ]
        for worker in workers:
            worker.start()
        try:
            yield
        finally:
            stop.set()
            for worker in workers:
                worker.join(timeout=2 * _TIMEOUT)

    def resolve(self, *, seconds: float = 60.0) -> list[str]:
        """Repeat what is unknown with the same keys; the violations are those that stay unknown.

        Each is repeated for that long at most, and none any more after one that stayed unknown.
        """
        tokens = self.tokens()
        given_up = threading.Event()

        def settle(call: Call) -> None:
            if call.token in self._customers:
                call.token = tokens[self._customers[call.token]]
            until = time.monotonic() + seconds
            while call.reply is Reply.UNKNOWN and not given_up.is_set():
                if time.monotonic() > until:
                    given_up.set()
                self._send(client, call)
                if call.reply is Reply.UNKNOWN:
                    time.sleep(0.2)

        # Thousands after a long outage, more than one client repeats in that time.
        with self.client() as client, ThreadPoolExecutor(_RESOLVERS) as threads:
            list(threads.map(settle, self.record.replied(Reply.UNKNOWN)))
        return [
            f"call {call.key} has no answer after {seconds:g} s: {call.status}"
            for call in self.record.replied(Reply.UNKNOWN)
        ]

    def _send(self, client: httpx.Client, call: Call) -> None:
        headers = {"Authorization": f"Bearer {call.token}", "Idempotency-Key": call.key}
        began = time.monotonic()
        try:
            answer = client.post("/api/v1/orders", json=call.body, headers=headers)
        except httpx.TransportError as error:
            call.status = type(error).__name__
        else:
            call.answered(
                answer.status_code, _json(answer), retry_after="Retry-After" in answer.headers
            )
        call.seconds = time.monotonic() - began


def _json(answer: httpx.Response) -> Any:
    """Its JSON; None for the page of a proxy or a server that stops."""
    try:
        return answer.json()
    except ValueError:
        return None


def is_temporary(status: int, body: Any) -> bool:
    """Whether a call is to be repeated: too many requests, or its first attempt still runs."""
    if status == httpx.codes.CONFLICT:
        return bool(body.get("code") == "idempotency_in_progress")
    return status == httpx.codes.TOO_MANY_REQUESTS


def order_body(
    *lines: tuple[str, int],
    payment_token: str = "tok_success",  # noqa: S107
) -> dict[str, Any]:
    """The body of an order of these (product id, quantity)."""
    return {
        "items": [{"product_id": product, "quantity": quantity} for product, quantity in lines],
        "shipping_address": _ADDRESS,
        "payment": {"provider": "sandbox", "token": payment_token},
    }
