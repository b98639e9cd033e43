"""Leases of slow work, and events of transactions that commit late."""

from __future__ import annotations

import threading
import time

from oms.tests.faults.background import unfinished
from oms.tests.faults.checks import check_everything, wait_for_background
from oms.tests.faults.clients import Buyers, accepted, order_body
from oms.tests.faults.crowd import place_many
from oms.tests.faults.experiments import Experiment, Outcome, Size
from oms.tests.faults.held_stock import stock_held_now_and_then
from oms.tests.faults.shop import Shop
from oms.tests.faults.weakening import ENVIRONMENT, trigger, without


def leases(shop: Shop, size: Size) -> Outcome:
    """Slow payments are polled for by two workers all the time, and mails by others."""
    outcome, buyers = _slow_work(shop, number=size.choose(quick=40, full=500))
    outcome.violations += check_everything(shop, buyers.record)
    return outcome


def no_leases(shop: Shop, size: Size) -> Outcome:
    """`lease_until` is always null."""
    body = "NEW.lease_until := NULL;"
    with trigger(shop, table="payments_payment", event="UPDATE", body=body):
        return _slow_work(shop, number=20)[0]


def _slow_work(shop: Shop, *, number: int) -> tuple[Outcome, Buyers]:
    outcome, buyers = Outcome(), Buyers(shop)
    [product] = shop.products(number=1)
    body = order_body((product, 1), payment_token="tok_slow")
    ids = accepted(place_many(shop, buyers, [body] * number))
    outcome.violations += wait_for_background(shop, seconds=60 + number / 10)
    outcome.count("payments", len(ids))
    for kind, table in (("payment", "payments_payment"), ("mail", "notifications_notification")):
        again = shop.value(
            f"SELECT count(*) FROM {table}"  # noqa: S608  # one of the two above
            " WHERE order_id = ANY(%s::uuid[]) AND fencing_token > 1",
            [ids],
        )
        if again:
            outcome.violations.append(f"{again} of {number} times a {kind} was claimed twice")
    return outcome, buyers


def late_commits(shop: Shop, size: Size) -> Outcome:
    """Transactions commit long after younger ones; every event is handled all the same."""
    outcome, buyers = _commit_late(shop, seconds=size.choose(quick=5, full=60))
    outcome.violations += check_everything(shop, buyers.record)
    return outcome


def no_horizon(shop: Shop, size: Size) -> Outcome:
    with without(shop, "horizon"):
        return _commit_late(shop, seconds=10)[0]


def _commit_late(shop: Shop, *, seconds: float) -> tuple[Outcome, Buyers]:
    outcome, buyers = Outcome(), Buyers(shop)
    # In the order of their locks: an order of both has its number when it waits for the second.
    first, held, other = sorted(shop.products(number=3))
    stop, tokens = threading.Event(), buyers.tokens()

    def place(number: int) -> None:
        lines = [(first, 1), (held, 1)] if number % 2 else [(other, 1)]
        token = tokens[number % len(tokens)]
        with buyers.client() as client:
            while not stop.is_set():
                buyers.place(client, order_body(*lines), token=token)

    threads = [threading.Thread(target=place, args=(one,), daemon=True) for one in range(6)]
    with stock_held_now_and_then(shop, [held]):
        for thread in threads:
            thread.start()
        time.sleep(seconds)
    stop.set()
    for thread in threads:
        thread.join(timeout=30)
    outcome.violations += buyers.resolve()
    outcome.violations += wait_for_background(shop, seconds=60)
    ids = accepted(buyers.record.calls)
    outcome.count("orders", len(ids))
    outcome.violations += unfinished(shop, ids)
    return outcome, buyers


EXPERIMENTS = (
    Experiment(
        name="slow work under leases",
        bar="nothing is claimed twice",
        run=leases,
        control=no_leases,
    ),
    Experiment(
        name="late commits",
        bar="every event handled once",
        run=late_commits,
        control=no_horizon,
        control_environment=ENVIRONMENT,
    ),
)
