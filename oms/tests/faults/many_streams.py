"""Thousands of clients whose streams end at the same time."""

from __future__ import annotations

import asyncio
import random
import signal
import threading
import time
from collections import Counter
from contextlib import suppress

from oms.tests.faults.checks import conclude
from oms.tests.faults.clients import Buyers
from oms.tests.faults.experiments import Experiment, Outcome, Size
from oms.tests.faults.shop import Shop
from oms.tests.faults.stopped_processes import OWN_SHOP

_BAR = 30.0
_RECONNECTED_BAR = 60.0
_RATE = 10.0


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
                outcome.slow.append(f"{error} {missing} of {number} are not back.")
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
        name="streams that connect again at once",
        bar="all are back within 60 s of the restart",
        run=connect_again,
        environment=OWN_SHOP,
        is_heavy=True,
    ),
)
