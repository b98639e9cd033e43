"""Clients of streams, while what they hang on is killed or restarted."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import httpx
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.sync.client import connect

from oms.tests.faults.checks import conclude
from oms.tests.faults.clients import Buyers
from oms.tests.faults.experiments import Experiment, Outcome, Size
from oms.tests.faults.shop import Shop
from oms.tests.faults.stopped_processes import OWN_SHOP

_BAR = 30.0
_RATE = 10.0
_VICTIMS = ("web worker", "web", "valkey", "postgres backend", "postgres")
# Until the last event is settled and sent.
_SETTLE_SECONDS = 10.0
_PAUSES = (0.1, 1.0)
_EVENTS_AFTER = """
    SELECT id::text FROM events_event
    WHERE (transaction, position)
        > (SELECT transaction, position FROM events_event WHERE id = %s::uuid)
      AND split_part(type, '.', 1) IN ('order', 'payment', 'refund')
    ORDER BY transaction, position
"""
_RECONNECTED_BAR = 60.0


class _Follower:
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
        self._read: Callable[[], None] = self._read_events

    @classmethod
    def by_web_socket(cls, shop: Shop, *, token: str, forgets: bool) -> _Follower:
        """One that uses a WebSocket instead of Server-Sent Events."""
        follower = cls(shop, token=token, forgets=forgets)
        follower._read = follower._read_messages
        return follower

    def run(self) -> None:
        while not self.is_stopping.is_set():
            with suppress(httpx.TransportError, OSError, ConnectionClosed, InvalidHandshake):
                self._read()
            self.is_connected = False
            self.is_stopping.wait(random.uniform(*_PAUSES))

    def _read_events(self) -> None:
        headers = dict(self._headers)
        if self._last and not self._forgets:
            headers["Last-Event-ID"] = self._last
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

    def _read_messages(self) -> None:
        wanted = {"type": "subscribe", "topics": ["orders"]}
        if self._last and not self._forgets:
            wanted["after"] = self._last
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

    def _note(self, id: str, event: str) -> None:
        self._last = id
        if event == "stream.opened":
            self.is_connected = True
            self.start = self.start or id
        else:
            self.seen.append(id)


def killed_while_followed(shop: Shop, size: Size) -> Outcome:
    """`kill -9` of what streams hang on, one after the other, while orders are placed."""
    rounds = size.choose(quick=1, full=3)
    return _follow(shop, victims=_VICTIMS * rounds, number=size.choose(quick=4, full=20))


def killed_while_forgetful(shop: Shop, size: Size) -> Outcome:
    """The same with clients that do not say where they were."""
    return _follow(shop, victims=("web",), number=4, forgets=True)


def _follow(shop: Shop, *, victims: tuple[str, ...], number: int, forgets: bool = False) -> Outcome:
    outcome, buyers, token = Outcome(), Buyers(shop), shop.staff_token()
    kinds = (_Follower, _Follower.by_web_socket)
    followers = [kinds[n % 2](shop, token=token, forgets=forgets) for n in range(number)]
    with _running(shop, followers), buyers.placing(shop.products(), threads=4, rate=_RATE):
        for kind in victims:
            began = time.monotonic()
            shop.processes(kind)[0].signal(signal.SIGKILL)
            outcome.count("kills")
            try:
                _wait_for_events(shop, followers)
            except TimeoutError as error:
                outcome.violations.append(f"{kind}: {error}")
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
    right = [id for (id,) in shop.rows(_EVENTS_AFTER, [follower.start])]
    with suppress(TimeoutError):
        shop.wait_until(
            lambda: len(follower.seen) >= len(right), seconds=_SETTLE_SECONDS, what="all is sent"
        )
    violations = []
    if missed := set(right) - set(follower.seen):
        violations.append(f"{len(missed)} of {len(right)} events missed")
    if doubled := [id for id, number in Counter(follower.seen).items() if number > 1]:
        violations.append(f"{len(doubled)} events twice")
    if not violations and follower.seen != right:
        violations.append("the events are in another order")
    return violations


# --- Many clients that connect again at once ------------------------------------------------------


class _Crowd:
    """Open streams of a customer who orders nothing, on an event loop of their own.

    Each connects again after the pause that the server asks for, as a browser does.
    """

    def __init__(self, shop: Shop, *, number: int) -> None:
        self._port, self._number = shop.port, number
        token = Buyers(shop).tokens()[0]
        self._request = (
            "GET /api/v1/stream?topics=orders HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Authorization: Bearer {token}\r\n\r\n"
        ).encode()
        self.openings = [0] * number
        """How often each of them was opened."""
        self.statuses: Counter[bytes] = Counter()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> _Crowd:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        tasks = [self._loop.create_task(self._stay(one)) for one in range(self._number)]
        self._loop.run_forever()
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()

    async def _stay(self, client: int) -> None:
        pause = 0.0
        while True:
            await asyncio.sleep(pause)
            # What a browser waits by itself.
            pause = random.uniform(2, 4)
            with suppress(OSError):
                pause = await self._follow(client) or pause

    async def _follow(self, client: int) -> float | None:
        """Follow until the end; the pause that the server asked for, in seconds."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        pause = None
        try:
            writer.write(self._request)
            self.statuses[(await reader.readline())[9:12]] += 1
            async for line in reader:
                if line.startswith(b"retry: "):
                    pause = int(line[7:]) / 1000
                elif line == b"event: stream.opened\n":
                    self.openings[client] += 1
        finally:
            writer.close()
        return pause


def connect_again(shop: Shop, size: Size) -> Outcome:
    """The web is restarted, as by a deploy, under thousands of streams and with orders placed."""
    outcome, buyers = Outcome(), Buyers(shop)
    number = size.choose(quick=300, full=10_000)
    with _Crowd(shop, number=number) as crowd:
        seconds = shop.wait_until(
            lambda: min(crowd.openings) > 0,
            seconds=2 * _RECONNECTED_BAR,
            what="all streams are open",
        )
        outcome.notes.append(f"opened in {seconds:.0f} s")
        with buyers.placing(shop.products(), threads=4, rate=_RATE):
            time.sleep(2)
            began = time.monotonic()
            [web] = shop.processes("web")
            web.signal(signal.SIGTERM)
            try:
                shop.wait_until(
                    lambda: not web.is_running(), seconds=_BAR, what="the web has ended"
                )
                shop.wait_until(
                    lambda: min(crowd.openings) > 1, seconds=_RECONNECTED_BAR, what="all are back"
                )
            except TimeoutError as error:
                missing = crowd.openings.count(1)
                outcome.violations.append(f"{error} {missing} of {number} are not back.")
            else:
                seconds = time.monotonic() - began
                outcome.recovered(seconds, bar=_RECONNECTED_BAR, what="streams")
    outcome.count("streams", number)
    refused = {status.decode(): n for status, n in crowd.statuses.items() if status != b"200"}
    if refused:
        outcome.notes.append(f"not at first: {refused}")
    return conclude(outcome, shop, buyers)


EXPERIMENTS = (
    Experiment(
        name="streams while processes are killed",
        bar="each event once and in order; all get events again within 30 s",
        run=killed_while_followed,
        control=killed_while_forgetful,
    ),
    Experiment(
        name="streams that connect again at once",
        bar="all are back within 60 s of the restart",
        run=connect_again,
        environment=OWN_SHOP,
        is_heavy=True,
    ),
)
