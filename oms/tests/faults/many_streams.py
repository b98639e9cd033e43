"""Thousands of clients whose streams end at the same time."""

from __future__ import annotations

import asyncio
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from oms.tests.faults.checks import conclude, events_after, wrong_events
from oms.tests.faults.clients import Buyers, order_body
from oms.tests.faults.experiments import Experiment, Outcome, Size
from oms.tests.faults.shop import Shop
from oms.tests.faults.stopped_processes import OWN_SHOP
from oms.tests.faults.weakening import ENVIRONMENT, without

_BAR = 30.0
_RECONNECTED_BAR = 60.0
_RATE = 10.0
# Until the last event is settled and sent to all.
_SETTLE_SECONDS = 20.0


class _Crowd:
    """Open streams of one customer, on an event loop of their own.

    Each connects again after the pause that the server asks for, and resumes after the last event
    that it has got, as a browser does.
    """

    def __init__(self, shop: Shop, *, number: int, token: str) -> None:
        self._port, self._number = shop.port, number
        self._request = (
            "GET /api/v1/stream?topics=orders HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Authorization: Bearer {token}\r\n"
        )
        self.opened = [0.0] * number
        """When each of them was opened last, of `time.monotonic()`; 0 if never."""
        self.starts = [""] * number
        """The position at which each began at first."""
        self.seen: list[list[str]] = [[] for _ in range(number)]
        """The ids of the events that each has got."""
        self.statuses: Counter[bytes] = Counter()
        self._last = [""] * number
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> _Crowd:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def missing(self, *, since: float) -> int:
        """How many have not been opened since that time."""
        return sum(1 for opened in self.opened if opened <= since)

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
        pause, id = None, ""
        try:
            last = self._last[client]
            resume = f"Last-Event-ID: {last}\r\n" if last else ""
            writer.write(f"{self._request}{resume}\r\n".encode())
            self.statuses[(await reader.readline())[9:12]] += 1
            async for line in reader:
                if line.startswith(b"retry: "):
                    pause = int(line[7:]) / 1000
                elif line.startswith(b"id: "):
                    id = line[4:].decode().strip()
                elif line == b"event: stream.opened\n":
                    self.opened[client] = time.monotonic()
                    self._last[client] = id
                    self.starts[client] = self.starts[client] or id
                elif line.startswith(b"event: ") and id:
                    self._last[client] = id
                    self.seen[client].append(id)
                elif line == b"\n":
                    id = ""
        finally:
            writer.close()
        return pause


def connect_again(shop: Shop, size: Size) -> Outcome:
    """The web is restarted, as by a deploy, under thousands of streams whose customer orders."""
    pause = size.choose(quick=1, full=5)
    return _restart(shop, number=size.choose(quick=300, full=10_000), pause=pause)


def connect_again_from_now_on(shop: Shop, size: Size) -> Outcome:
    """The shop does not look at where they were."""
    with without(shop, "resumption"):
        return _restart(shop, number=100, pause=1)


def _restart(shop: Shop, *, number: int, pause: float) -> Outcome:
    """With an order of the streams' customer every `pause` seconds, and orders of others."""
    outcome, buyers = Outcome(), Buyers(shop)
    products = shop.products()
    # Of the last customer: `placing` is by the first ones.
    token = buyers.tokens()[-1]
    customer = buyers.customer_id(token)
    with _Crowd(shop, number=number, token=token) as crowd:
        seconds = shop.wait_until(
            lambda: not crowd.missing(since=0),
            seconds=2 * _RECONNECTED_BAR,
            what="all streams are open",
        )
        outcome.notes.append(f"opened in {seconds:.0f} s")
        with (
            buyers.placing(products, threads=4, rate=_RATE),
            _ordering(buyers, products[0], pause=pause),
        ):
            time.sleep(2)
            began = time.monotonic()
            [web] = shop.processes("web")
            web.signal(signal.SIGTERM)
            try:
                shop.wait_until(
                    lambda: not web.is_running(), seconds=_BAR, what="the web has ended"
                )
                ended = time.monotonic()
                shop.wait_until(
                    lambda: not crowd.missing(since=ended),
                    seconds=_RECONNECTED_BAR,
                    what="all are back",
                )
            except TimeoutError as error:
                missing = crowd.missing(since=began)
                outcome.slow.append(f"{error} {missing} of {number} are not back.")
            else:
                seconds = time.monotonic() - began
                outcome.recovered(seconds, bar=_RECONNECTED_BAR, what="streams")
        conclude(outcome, shop, buyers)
        outcome.violations += _faults_of(shop, crowd, customer=customer)
    outcome.count("streams", number)
    outcome.count("events", sum(map(len, crowd.seen)))
    refused = {status.decode(): n for status, n in crowd.statuses.items() if status != b"200"}
    if refused:
        outcome.notes.append(f"not at first: {refused}")
    return outcome


@contextmanager
def _ordering(buyers: Buyers, product: str, *, pause: float) -> Iterator[None]:
    """Orders of the last customer, one every `pause` seconds, while the block runs."""
    stop = threading.Event()

    def order() -> None:
        with buyers.client() as client:
            while not stop.is_set():
                buyers.place(client, order_body((product, 1)), token=buyers.tokens()[-1])
                stop.wait(pause)

    thread = threading.Thread(target=order, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=_BAR)


def _faults_of(shop: Shop, crowd: _Crowd, *, customer: str) -> list[str]:
    """What the streams have missed, and what they got twice or in another order."""
    right = {
        start: events_after(shop, start, kinds=["order"], customer=customer)
        for start in set(crowd.starts)
    }

    def wrong() -> list[int]:
        return [one for one, seen in enumerate(crowd.seen) if seen != right[crowd.starts[one]]]

    with suppress(TimeoutError):
        shop.wait_until(lambda: not wrong(), seconds=_SETTLE_SECONDS, what="all is sent")
    found = Counter(
        text
        for one in wrong()
        for text in wrong_events(list(crowd.seen[one]), right=right[crowd.starts[one]])
    )
    return [f"{number} streams: {text}" for text, number in found.items()]


EXPERIMENTS = (
    Experiment(
        name="streams that connect again at once",
        bar="all are back within 60 s of the restart; no event missed, none twice",
        run=connect_again,
        control=connect_again_from_now_on,
        environment=OWN_SHOP,
        control_environment=ENVIRONMENT,
        is_heavy=True,
    ),
)
