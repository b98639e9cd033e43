"""Clients that follow streams, while what these hang on is killed."""

from __future__ import annotations

import json
import random
import signal
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import httpx
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.sync.client import connect

from oms.tests.faults.checks import conclude, events_after, wrong_events
from oms.tests.faults.clients import Buyers
from oms.tests.faults.experiments import Experiment, Outcome, Size
from oms.tests.faults.shop import Shop
from oms.tests.faults.weakening import ENVIRONMENT, without

_BAR = 30.0
_RATE = 10.0
_VICTIMS = ("web worker", "web", "valkey", "postgres backend", "postgres")
# Until the last event is settled and sent.
_SETTLE_SECONDS = 10.0
_PAUSES = (0.1, 1.0)
_STOCK = """
    SELECT product_id::text, sum(on_hand - reserved)::int FROM inventory_stocklevel
    WHERE product_id = ANY(%s::uuid[]) GROUP BY product_id
"""


@dataclass(frozen=True, kw_only=True)
class _Caller:
    """Who follows which topics: events of these kinds of objects, of one customer if it says so."""

    token: str
    topics: str
    kinds: tuple[str, ...] = ()
    customer: str | None = None


class _Follower(ABC):
    """A client that follows a stream, and connects again when it is cut off.

    It resumes after the last event that it has got.
    """

    def __init__(self, shop: Shop, caller: _Caller) -> None:
        self._url, self.caller = shop.url, caller
        self._headers = {"Authorization": f"Bearer {caller.token}"}
        self.start = self._last = ""
        self.seen: list[str] = []
        """The ids of the events, without those of stock, which have none of their own."""
        self.stock: dict[str, int] = {}
        """The units of each product that are available, as they were sent last."""
        self.number = 0
        """How many events it has got, those of stock too."""
        self.is_connected = False
        self.is_stopping = threading.Event()

    def run(self) -> None:
        while not self.is_stopping.is_set():
            with suppress(httpx.TransportError, OSError, ConnectionClosed, InvalidHandshake):
                self._read()
            self.is_connected = False
            self.is_stopping.wait(random.uniform(*_PAUSES))

    @abstractmethod
    def _read(self) -> None:
        """Connect, and follow until the connection ends."""

    def _note_opened(self, id: str) -> None:
        self._last = id
        self.start = self.start or id
        self.is_connected = True

    def _note(self, id: str, event: str, data: dict[str, Any]) -> None:
        self._last = id
        if event == "inventory.changed":
            self.stock[data["product_id"]] = data["available"]
        else:
            self.seen.append(id)
        self.number += 1


class _EventStreamFollower(_Follower):
    """By Server-Sent Events."""

    def _read(self) -> None:
        headers = dict(self._headers)
        if self._last:
            headers["Last-Event-ID"] = self._last
        with httpx.stream(
            "GET",
            f"{self._url}/api/v1/stream",
            params={"topics": self.caller.topics},
            headers=headers,
            timeout=httpx.Timeout(5, read=30),
        ) as answer:
            if answer.status_code != httpx.codes.OK:
                return
            fields: dict[str, str] = {}
            for line in answer.iter_lines():
                if self.is_stopping.is_set():
                    return
                name, _, value = line.partition(": ")
                fields[name] = value
                if not line:
                    if fields.get("event") == "stream.opened":
                        self._note_opened(fields["id"])
                    elif "data" in fields:
                        self._note(fields["id"], fields["event"], json.loads(fields["data"]))
                    fields = {}


class _WebSocketFollower(_Follower):
    """By a WebSocket."""

    def _read(self) -> None:
        wanted: dict[str, Any] = {"type": "subscribe", "topics": self.caller.topics.split(",")}
        if self._last:
            wanted["after"] = self._last
        url = f"{self._url.replace('http', 'ws', 1)}/api/v1/ws"
        with connect(url, additional_headers=self._headers, open_timeout=5) as socket:
            socket.send(json.dumps(wanted))
            for text in socket:
                if self.is_stopping.is_set():
                    return
                message = json.loads(text)
                if message["type"] == "subscribed":
                    self._note_opened(message["after"])
                elif message["type"] == "event":
                    self._note(message["id"], message["event"], message["data"])


def killed_while_followed(shop: Shop, size: Size) -> Outcome:
    """`kill -9` of what streams hang on, one after the other, while orders are placed."""
    rounds = size.choose(quick=1, full=3)
    return _follow(shop, victims=_VICTIMS * rounds, times=size.choose(quick=1, full=3))


def killed_while_forgetful(shop: Shop, size: Size) -> Outcome:
    """The shop does not look at where they were."""
    with without(shop, "resumption"):
        return _follow(shop, victims=("web",), times=1)


def _follow(shop: Shop, *, victims: tuple[str, ...], times: int) -> Outcome:
    outcome, buyers, products = Outcome(), Buyers(shop), shop.products()
    followers = [
        kind(shop, caller)
        for caller in _callers(shop, buyers) * times
        for kind in (_EventStreamFollower, _WebSocketFollower)
    ]
    with _running(shop, followers):
        with buyers.placing(products, threads=4, rate=_RATE):
            for kind in victims:
                began = time.monotonic()
                shop.processes(kind)[0].signal(signal.SIGKILL)
                outcome.count("kills")
                try:
                    _wait_for_events(shop, followers)
                except TimeoutError as error:
                    outcome.slow.append(f"{kind}: {error}")
                else:
                    outcome.recovered(time.monotonic() - began, bar=_BAR, what=kind)
        # What has just been sold is sent by nobody any more unless it is looked for.
        [web] = shop.processes("web")
        web.signal(signal.SIGKILL)
        outcome.count("kills")
        shop.wait_until(
            lambda: not web.is_running() and shop.is_whole(),
            seconds=_BAR,
            what="the shop is whole",
        )
        conclude(outcome, shop, buyers)
        outcome.violations += [
            text for each in followers for text in _faults_of(shop, each, products)
        ]
    outcome.count("streams", len(followers))
    outcome.count("events", sum(each.number for each in followers))
    return outcome


def _callers(shop: Shop, buyers: Buyers) -> list[_Caller]:
    token = buyers.tokens()[0]
    own = {"token": token, "customer": buyers.customer_id(token)}
    return [
        _Caller(token=shop.staff_token(), topics="orders", kinds=("order", "payment", "refund")),
        _Caller(**own, topics="orders", kinds=("order",)),
        _Caller(**own, topics="notifications", kinds=("notification",)),
        _Caller(token=token, topics="inventory"),
    ]


@contextmanager
def _running(shop: Shop, followers: Sequence[_Follower]) -> Iterator[None]:
    """The followers follow from now on, until the block ends."""
    for each in followers:
        threading.Thread(target=each.run, daemon=True).start()
    try:
        shop.wait_until(
            lambda: all(each.is_connected for each in followers), seconds=_BAR, what="all follow"
        )
        yield
    finally:
        for each in followers:
            each.is_stopping.set()


def _wait_for_events(shop: Shop, followers: Sequence[_Follower]) -> None:
    """Return once the shop is whole and each follower gets what happens after that."""
    shop.wait_until(shop.is_whole, seconds=_BAR, what="the shop is whole")
    before = [each.number for each in followers]
    shop.wait_until(
        lambda: all(
            each.is_connected and each.number > number
            for each, number in zip(followers, before, strict=True)
        ),
        seconds=_BAR,
        what="all get events again",
    )


def _faults_of(shop: Shop, follower: _Follower, products: list[str]) -> list[str]:
    """What the follower has missed, and what it got twice or in another order."""
    caller = follower.caller
    if not caller.kinds:
        stock = dict(shop.rows(_STOCK, [products]))
        return _wait_for(
            shop,
            lambda: [
                f"{caller.topics}: {follower.stock.get(product)} of a product, there are {number}"
                for product, number in stock.items()
                if follower.stock.get(product) != number
            ],
        )
    right = events_after(shop, follower.start, kinds=caller.kinds, customer=caller.customer)
    return _wait_for(
        shop,
        lambda: [f"{caller.topics}: {text}" for text in wrong_events(follower.seen, right=right)],
    )


def _wait_for(shop: Shop, faults: Callable[[], list[str]]) -> list[str]:
    """The faults that are left when all must have been sent."""
    with suppress(TimeoutError):
        shop.wait_until(lambda: not faults(), seconds=_SETTLE_SECONDS, what="all is sent")
    return faults()


EXPERIMENTS = (
    Experiment(
        name="streams while processes are killed",
        bar="each event once and in order, the stock as it is; all get events again within 30 s",
        run=killed_while_followed,
        control=killed_while_forgetful,
        control_environment=ENVIRONMENT,
    ),
)
