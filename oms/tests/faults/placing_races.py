"""Buyers who compete for the last units, baskets in random order, one key used many times."""

from __future__ import annotations

import random
import time
import uuid
from collections import Counter
from functools import partial

from oms.tests.faults.checks import check_everything
from oms.tests.faults.clients import Buyers, order_body
from oms.tests.faults.crowd import Answer, Caller, at_once
from oms.tests.faults.experiments import Experiment, Outcome, Size
from oms.tests.faults.held_stock import stock_held_now_and_then
from oms.tests.faults.shop import Shop
from oms.tests.faults.weakening import ENVIRONMENT, forgotten_keys, trigger, without

_UNITS = 10
_SECONDS = 5.0


def last_units(shop: Shop, size: Size) -> Outcome:
    """1,000 buyers, the last 10 units."""
    outcome, buyers = _rush(shop, number=1000)
    outcome.violations += check_everything(shop, buyers.record)
    return outcome


def unlocked_last_units(shop: Shop, size: Size) -> Outcome:
    """A batch reads the stock while another one, which takes a moment, sells it."""
    body = "PERFORM pg_sleep(0.1);"
    slow = trigger(shop, table="inventory_stocklevel", event="UPDATE", body=body)
    with slow, without(shop, "stock lock"):
        return _rush(shop, number=300)[0]


def _rush(shop: Shop, *, number: int) -> tuple[Outcome, Buyers]:
    outcome, buyers = Outcome(), Buyers(shop)
    [product] = shop.products(stock=_UNITS, number=1)
    tokens = buyers.tokens()
    body = order_body((product, 1))
    began = time.monotonic()
    at_once(
        shop,
        [
            partial(Caller.place, buyers=buyers, body=body, token=tokens[one % len(tokens)])
            for one in range(number)
        ],
    )
    seconds = time.monotonic() - began
    statuses = buyers.record.statuses()
    outcome.count("buyers", number)
    outcome.count("sold", statuses[201])
    outcome.notes.append(f"all answered in {seconds:.1f} s")
    if statuses != Counter({201: _UNITS, 409: number - _UNITS}):
        outcome.violations.append(f"answers: {dict(statuses)}")
    if seconds > _SECONDS:
        outcome.slow.append(f"took {seconds:.1f} s, bar {_SECONDS:g} s")
    return outcome, buyers


def baskets(shop: Shop, size: Size) -> Outcome:
    """1,000 baskets of 5 of 10 products, in random order."""
    outcome, buyers = _fill_baskets(shop, number=size.choose(quick=100, full=1000))
    outcome.violations += check_everything(shop, buyers.record)
    return outcome


def unsorted_baskets(shop: Shop, size: Size) -> Outcome:
    with without(shop, "stock order"):
        return _fill_baskets(shop, number=300)[0]


def _fill_baskets(shop: Shop, *, number: int) -> tuple[Outcome, Buyers]:
    outcome, buyers = Outcome(), Buyers(shop)
    products = shop.products(number=10)
    # Sooner than any lock timeout: a wait in a circle shall count as a deadlock.
    with shop.connect() as connection:
        connection.execute("ALTER SYSTEM SET deadlock_timeout = '50ms'")
        connection.execute("SELECT pg_reload_conf()")
    tokens, before = buyers.tokens(), _deadlocks(shop)
    # So that orders wait with half of their products.
    with stock_held_now_and_then(shop, products):
        at_once(
            shop,
            [
                partial(
                    Caller.place,
                    buyers=buyers,
                    body=order_body(*[(product, 1) for product in random.sample(products, 5)]),
                    token=tokens[one % len(tokens)],
                )
                for one in range(number)
            ],
        )
    outcome.count("baskets", number)
    statuses = buyers.record.statuses()
    if statuses != Counter({201: number}):
        outcome.violations.append(f"answers: {dict(statuses)}")
    if deadlocks := _deadlocks(shop) - before:
        outcome.violations.append(f"{deadlocks} deadlocks")
    return outcome, buyers


def _deadlocks(shop: Shop) -> int:
    # A backend reports its statistics once a second at most.
    time.sleep(1.5)
    number: int = shop.value(
        "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    )
    return number


def one_key(shop: Shop, size: Size) -> Outcome:
    """One idempotency key, 100 times in parallel."""
    outcome, buyers = _repeat_key(shop, rounds=size.choose(quick=1, full=20))
    outcome.violations += check_everything(shop, buyers.record)
    return outcome


def forgotten_key(shop: Shop, size: Size) -> Outcome:
    with forgotten_keys(shop):
        return _repeat_key(shop, rounds=1)[0]


def _repeat_key(shop: Shop, *, rounds: int) -> tuple[Outcome, Buyers]:
    outcome, buyers = Outcome(), Buyers(shop)
    [product] = shop.products(number=1)
    for token in buyers.tokens()[:1] * rounds:
        key = str(uuid.uuid4())
        body = order_body((product, 1)) | {"note": key}
        call = partial(Caller.call, method="POST", path="/orders", token=token, body=body, key=key)
        answers: list[Answer] = at_once(shop, [call] * 100)
        answers += at_once(shop, [call])
        outcome.count("calls", len(answers))
        made = {answer.body["id"] for answer in answers if answer.status == 201}
        others = [answer for answer in answers if answer.status != 201]
        exist = shop.value("SELECT count(*) FROM orders_order WHERE note = %s", [key])
        if len(made) != 1 or exist != 1:
            outcome.violations.append(f"one key: {len(made)} orders answered, {exist} exist")
        if not answers[-1].replayed:
            outcome.violations.append(f"the last call is no repetition: {answers[-1].status}")
        outcome.violations += [
            f"one key: {answer.status} {answer.code}"
            for answer in others
            if answer.code != "idempotency_in_progress"
        ]
    return outcome, buyers


EXPERIMENTS = (
    Experiment(
        name="1,000 buyers, the last 10 units",
        bar="10 sold, 990 × 409, within 5 s",
        run=last_units,
        is_heavy=True,
        control=unlocked_last_units,
        control_environment=ENVIRONMENT,
    ),
    Experiment(
        name="baskets in random order",
        bar="no deadlock",
        run=baskets,
        control=unsorted_baskets,
        control_environment=ENVIRONMENT,
    ),
    Experiment(
        name="one key, 100 times in parallel",
        bar="one effect",
        run=one_key,
        control=forgotten_key,
    ),
)
