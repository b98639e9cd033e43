"""Clients that follow streams, while what these hang on is killed."""

from __future__ import annotations

import json
import random
import signal
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import httpx
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.sync.client import connect

from oms.tests.faults.checks import conclude, events_after, wrong_events
from oms.tests.faults.clients import Buyers
from oms.tests.faults.experiments import Experiment, Outcome, Size
from oms.tests.faults.shop import Shop

_BAR = 30.0
_RATE = 10.0
_VICTIMS = ("web worker", "web", "valkey", "postgres backend", "postgres")
# Until the last event is settled and sent.
_SETTLE_SECONDS = 10.0
_PAUSES = (0.1, 1.0)
_OF_ORDERS = ("order", "payment", "refund")


class _Follower(ABC):
    """A client of staff that follows all orders, and connects again when it is cut off.

    It resumes after the last event that it has got, unless it is one that forgets.
    """

    def __init__(self, shop: Shop, *, token: str, forgets: bool) -> None:
        self._url, self._forgets = shop.url, forgets
        self._headers = {"Authorization": f"Bearer {token}"}
        self.start = self._last = ""
        self.seen: list[str] = []
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

    @property
    def _position(self) -> str:
        """Where to resume; "" for from now on."""
        return "" if self._forgets else self._last

    def _note(self, id: str, event: str) -> None:
        self._last = id
        if event == "stream.opened":
            self.is_connected = True
            self.start = self.start or id
        else:
            self.seen.append(id)


class _EventStreamFollower(_Follower):
    """By Server-Sent Events."""

    def _read(self) -> None:
        headers = dict(self._headers)
        if self._position:
            headers["Last-Event-ID"] = self._position
        with httpx.stream(
            "GET",
            f"{self._url}/api/v1/stream",
            params={"topics": "orders"},
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
                    if "data" in fields:
                        self._note(fields["id"], fields["event"])
                    fields = {}


class _WebSocketFollower(_Follower):
    """By a WebSocket."""

    def _read(self) -> None:
        wanted = {"type": "subscribe", "topics": ["orders"]}
        if self._position:
            wanted["after"] = self._position
        url = f"{self._url.replace('http', 'ws', 1)}/api/v1/ws"
        with connect(url, additional_headers=self._headers, open_timeout=5) as socket:
            socket.send(json.dumps(wanted))
            for text in socket:
                if self.is_stopping.is_set():
                    return
                message = json.loads(text)
                if message["type"] == "subscribed":
                    self._note(message["after"], "stream.opened")
                elif message["type"] == "event":
                    self._note(message["id"], message["event"])


def killed_while_followed(shop: Shop, size: Size) -> Outcome:
    """`kill -9` of what streams hang on, one after the other, while orders are placed."""
    rounds = size.choose(quick=1, full=3)
    return _follow(shop, victims=_VICTIMS * rounds, number=size.choose(quick=4, full=20))


def killed_while_forgetful(shop: Shop, size: Size) -> Outcome:
    """The same with clients that do not say where they were."""
    return _follow(shop, victims=("web",), number=4, forgets=True)


def _follow(shop: Shop, *, victims: tuple[str, ...], number: int, forgets: bool = False) -> Outcome:
    outcome, buyers, token = Outcome(), Buyers(shop), shop.staff_token()
    kinds: tuple[type[_Follower], ...] = (_EventStreamFollower, _WebSocketFollower)
    followers = [kinds[n % 2](shop, token=token, forgets=forgets) for n in range(number)]
    with _running(shop, followers), buyers.placing(shop.products(), threads=4, rate=_RATE):
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
    conclude(outcome, shop, buyers)
    outcome.violations += [text for each in followers for text in _faults_of(shop, each)]
    for each in followers:
        each.is_stopping.set()
    outcome.count("streams", len(followers))
    outcome.count("events", sum(len(each.seen) for each in followers))
    return outcome


@contextmanager
def _running(shop: Shop, followers: list[_Follower]) -> Iterator[None]:
    """The followers follow from now on; they are stopped if the block fails."""
    for each in followers:
        threading.Thread(target=each.run, daemon=True).start()
    try:
        shop.wait_until(
            lambda: all(each.is_connected for each in followers), seconds=_BAR, what="all follow"
        )
        yield
    except BaseException:
        for each in followers:
            each.is_stopping.set()
        raise


def _wait_for_events(shop: Shop, followers: list[_Follower]) -> None:
    """Return once the shop is whole and each follower gets what happens after that."""
    shop.wait_until(shop.is_whole, seconds=_BAR, what="the shop is whole")
    before = [len(each.seen) for each in followers]
    shop.wait_until(
        lambda: all(
            each.is_connected and len(each.seen) > number
            for each, number in zip(followers, before, strict=True)
        ),
        seconds=_BAR,
        what="all get events again",
    )


def _faults_of(shop: Shop, follower: _Follower) -> list[str]:
    """What the follower has missed, and what it got twice or in another order."""
    right = events_after(shop, follower.start, kinds=_OF_ORDERS)
    with suppress(TimeoutError):
        shop.wait_until(
            lambda: len(follower.seen) >= len(right), seconds=_SETTLE_SECONDS, what="all is sent"
        )
    return wrong_events(follower.seen, right=right)


EXPERIMENTS = (
    Experiment(
        name="streams while processes are killed",
        bar="each event once and in order; all get events again within 30 s",
        run=killed_while_followed,
        control=killed_while_forgetful,
    ),
)
