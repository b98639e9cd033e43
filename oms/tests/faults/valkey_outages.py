"""Valkey away, emptied, and gone for a moment again and again, while orders are placed."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

from oms.tests.faults.checks import backlog, conclude, failed_calls, wait_for_background
from oms.tests.faults.clients import Buyers
from oms.tests.faults.experiments import Experiment, Outcome, Size
from oms.tests.faults.shop import Shop
from oms.tests.faults.shop_environment import OWN_VALKEY
from oms.tests.faults.valkey import Valkey

_KEPT_RATE = 0.8
_DRAIN_BAR = 15.0
_WHOLE_BAR = 30.0
_RATE = 50.0
_WORKERS = ("worker", "payments", "notifications")
_ENVIRONMENT = (("REDIS_URL", OWN_VALKEY),)


def rate_without(shop: Shop, size: Size) -> Outcome:
    """As many orders as possible, first with Valkey, then without, then with it."""
    outcome, buyers, valkey = Outcome(), Buyers(shop), _valkey(shop)
    seconds = size.choose(quick=4, full=30)
    products = shop.products()
    with buyers.placing(products, threads=8):
        time.sleep(1)
        began = time.monotonic()
        time.sleep(seconds)
        stopped = time.monotonic()
        valkey.stop(signal.SIGKILL)
        time.sleep(seconds)
        started = time.monotonic()
        valkey.start()
    before = buyers.record.rate(since=began, until=stopped)
    without = buyers.record.rate(since=stopped, until=started)
    outcome.notes.append(f"{before:.0f} orders/s, without Valkey {without:.0f}")
    if without < _KEPT_RATE * before:
        outcome.slow.append(f"the rate fell from {before:.0f}/s to {without:.0f}/s")
    outcome.violations += failed_calls(buyers)
    return conclude(outcome, shop, buyers)


def backlog_after(shop: Shop, size: Size) -> Outcome:
    """50 orders a second while Valkey is away for a while, and while it is emptied."""
    outcome, buyers, valkey = Outcome(), Buyers(shop), _valkey(shop)
    products = shop.products()
    with buyers.placing(products, threads=8, rate=_RATE):
        time.sleep(1)
        valkey.stop(signal.SIGKILL)
        time.sleep(size.choose(quick=5, full=30))
        valkey.start()
        returned = time.monotonic()
    left = ", ".join(f"{number} {kind}" for kind, number in backlog(shop).items())
    outcome.notes.append(f"left to do at its return: {left}")
    outcome.violations += wait_for_background(shop, seconds=2 * _DRAIN_BAR)
    outcome.recovered(time.monotonic() - returned, bar=_DRAIN_BAR, what="backlog")
    with buyers.placing(products, threads=8, rate=_RATE):
        for _ in range(size.choose(quick=3, full=20)):
            time.sleep(1)
            with valkey.client() as client:
                client.flushall()
            outcome.count("FLUSHALL")
        flushed = time.monotonic()
    outcome.violations += wait_for_background(shop, seconds=2 * _DRAIN_BAR)
    outcome.recovered(time.monotonic() - flushed, bar=_DRAIN_BAR, what="after FLUSHALL")
    outcome.violations += failed_calls(buyers)
    return conclude(outcome, shop, buyers)


def emptied_without_schedule(shop: Shop, size: Size) -> Outcome:
    """Wake-ups are lost, and no beat sends others."""
    outcome, buyers = Outcome(), Buyers(shop)
    shop.signal_supervisor(signal.SIGSTOP)  # or it would replace what is frozen
    with _frozen(shop, "beat"):
        with _frozen(shop, *_WORKERS, *(f"{kind} child" for kind in _WORKERS)):
            with buyers.placing(shop.products(number=1), threads=1, rate=10):
                time.sleep(1)
            with _valkey(shop).client() as client:
                client.flushall()
        outcome.violations += wait_for_background(shop, seconds=_DRAIN_BAR)
    shop.signal_supervisor(signal.SIGCONT)
    return outcome


def short_outages(shop: Shop, size: Size) -> Outcome:
    """Valkey ends, cleanly and not, and is back a second later, eight times."""
    outcome, buyers, valkey = Outcome(), Buyers(shop), _valkey(shop)
    workers = [process for kind in _WORKERS for process in shop.processes(kind)]
    rate = size.choose(quick=10, full=20)
    with buyers.placing(shop.products(), threads=4, rate=rate):
        for number in range(8 * size.choose(quick=1, full=3)):
            valkey.stop((signal.SIGTERM, signal.SIGKILL)[number % 2])
            time.sleep(1)
            valkey.start()
            outcome.count("outages")
            time.sleep(2)
        returned = time.monotonic()
        try:
            shop.wait_until(shop.is_whole, seconds=_WHOLE_BAR, what="the shop is whole")
        except TimeoutError as error:
            outcome.slow.append(str(error))
    ended = sum(not worker.is_running() for worker in workers)
    outcome.notes.append(f"{ended} workers ended and were started again")
    outcome.violations += wait_for_background(shop, seconds=_WHOLE_BAR)
    outcome.recovered(time.monotonic() - returned, bar=_WHOLE_BAR, what="work goes on")
    return conclude(outcome, shop, buyers)


def _valkey(shop: Shop) -> Valkey:
    assert shop.own_valkey is not None
    return shop.own_valkey


@contextmanager
def _frozen(shop: Shop, *kinds: str) -> Iterator[None]:
    processes = [process for kind in kinds for process in shop.processes(kind)]
    for process in processes:
        process.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            process.signal(signal.SIGCONT)


EXPERIMENTS = (
    Experiment(
        name="Valkey away: rate of placing",
        bar="80 % of the rate or more, no 5xx",
        run=rate_without,
        environment=_ENVIRONMENT,
        needs_quiet=True,
    ),
    Experiment(
        name="Valkey away and FLUSHALL: backlog",
        bar="gone within 15 s at 50 orders/s, no 5xx",
        run=backlog_after,
        control=emptied_without_schedule,
        environment=_ENVIRONMENT,
        needs_quiet=True,
    ),
    Experiment(
        name="eight short outages of Valkey",
        bar="no worker ends for good, work goes on within 30 s",
        run=short_outages,
        environment=_ENVIRONMENT,
    ),
)
