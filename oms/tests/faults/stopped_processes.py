"""SIGTERM of the web and the workers under load, as a deploy sends it."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import httpx

from oms.tests.faults.checks import conclude
from oms.tests.faults.clients import Buyers, Call, Reply, order_body
from oms.tests.faults.experiments import Experiment, Outcome, Size
from oms.tests.faults.shop import Shop

_BAR = 30.0
_RATE = 15.0
_IN_FLIGHT = 6
_MAINS = ("web", "worker", "payments", "notifications")
# A supervisor may give up on what ends again and again soon after its start.
LONG_RUN_SECONDS = 61.0
# Experiments that end main processes often have a shop of their own, for the same reason.
# It lets thousands of streams in.
OWN_SHOP = (("STREAMS_PER_ADDRESS", "20000"), ("STREAMS_PER_ACCOUNT", "20000"))


def terminate(shop: Shop, size: Size) -> Outcome:
    """SIGTERM of all of them at once, while requests wait for a lock."""
    outcome, buyers = Outcome(), Buyers(shop)
    with buyers.placing(shop.products(), threads=4, rate=_RATE):
        for number in range(size.choose(quick=1, full=20)):
            if number and number % 3 == 0:
                time.sleep(LONG_RUN_SECONDS)
            _stop_once(shop, outcome, buyers, signal.SIGTERM)
    return conclude(outcome, shop, buyers)


def kill_instead(shop: Shop, size: Size) -> Outcome:
    """SIGKILL: requests in flight do not finish."""
    outcome, buyers = Outcome(), Buyers(shop)
    _stop_once(shop, outcome, buyers, signal.SIGKILL)
    buyers.resolve()
    return outcome


def _stop_once(shop: Shop, outcome: Outcome, buyers: Buyers, number: signal.Signals) -> None:
    """Stop everything once. Violations: what is cut, or ends or comes back too late."""
    [product] = shop.products(number=1)
    mains = [process for kind in _MAINS for process in shop.processes(kind)]
    all_of_them = [
        *mains,
        *(each for kind in _MAINS for each in shop.processes(f"{kind} child")),
        *shop.processes("web worker"),
    ]
    with _requests_in_flight(shop, buyers, product) as requests:
        began = time.monotonic()
        for process in all_of_them if number == signal.SIGKILL else mains:
            process.signal(number)
        outcome.count("processes", len(mains))
        time.sleep(0.5)
    for request in requests:
        call = request.result()
        if call.reply is not Reply.OK:
            outcome.violations.append(f"a request in flight ended with {call.status}")
    try:
        shop.wait_until(
            lambda: not any(process.is_running() for process in all_of_them),
            seconds=_BAR,
            what="all have ended",
        )
        outcome.notes.append(f"ended after {time.monotonic() - began:.1f} s")
        shop.wait_until(shop.is_whole, seconds=2 * _BAR, what="the shop is whole")
        outcome.recovered(time.monotonic() - began, bar=2 * _BAR, what="after SIGTERM")
    except TimeoutError as error:
        outcome.slow.append(str(error))


@contextmanager
def _requests_in_flight(shop: Shop, buyers: Buyers, product: str) -> Iterator[list[Future[Call]]]:
    """Orders of a product whose stock is locked while the block runs, and which then go on."""
    token = buyers.tokens()[0]
    sent = threading.Barrier(_IN_FLIGHT + 1)

    def place() -> Call:
        with httpx.Client(base_url=shop.url, timeout=20) as client:
            client.get("/health")  # so that the connection is there
            sent.wait()
            return buyers.place(client, order_body((product, 1)), token=token)

    with (
        ThreadPoolExecutor(_IN_FLIGHT) as threads,
        shop.connect() as connection,
        connection.transaction(),
    ):
        connection.execute(
            "SELECT 1 FROM inventory_stocklevel WHERE product_id = %s FOR UPDATE", [product]
        )
        requests = [threads.submit(place) for _ in range(_IN_FLIGHT)]
        sent.wait()
        time.sleep(0.3)  # the requests have arrived
        yield requests


EXPERIMENTS = (
    Experiment(
        name="SIGTERM of web and workers under load",
        bar="in flight finishes, nothing lost, exit within 30 s",
        run=terminate,
        control=kill_instead,
        environment=OWN_SHOP,
    ),
)
