"""Concurrent buyers: nothing is oversold, and there are no deadlocks."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch
from uuid import UUID

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import Sum

from inventory import locks
from inventory.errors import OutOfStock
from inventory.models import Product, StockMovement
from oms.db.pipeline import Pipeline
from oms.db.transactions import DatabaseBusy
from oms.testing.factories import actor_for, make_customer, make_product
from oms.testing.ordering import outcomes_at_once, placement, stock_of
from orders.models import Order
from orders.operations.placing import place_order, place_orders
from orders.placements import Placed

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


def buyers(product: Product, *, how_many: int, quantity: int = 1) -> list[Callable[[], Placed]]:
    customer = make_customer()
    requested = placement((product, quantity), customer=customer)

    def buy() -> Placed:
        return place_order(actor=actor_for(customer), placement=requested)

    return [buy] * how_many


def kinds(outcomes: Sequence[Any]) -> dict[str, int]:
    names = [type(outcome).__name__ for outcome in outcomes]
    return {name: names.count(name) for name in set(names)}


def deadlocks() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        [count] = cursor.fetchone()
    return int(count)


def test_the_last_unit_is_sold_to_exactly_one_of_fifty() -> None:
    mug = make_product(stock=1)

    outcomes = outcomes_at_once(buyers(mug, how_many=50))

    assert kinds(outcomes) == {"Placed": 1, "OutOfStock": 49}
    assert Order.objects.count() == 1
    assert stock_of(mug) == (1, 1)


def test_seven_units_are_enough_for_three_orders_of_two() -> None:
    mug = make_product(stock=7)

    outcomes = outcomes_at_once(buyers(mug, how_many=12, quantity=2))

    assert kinds(outcomes) == {"Placed": 3, "OutOfStock": 9}
    assert stock_of(mug) == (7, 6)
    reserved = StockMovement.objects.filter(product=mug, kind="reserve")
    assert reserved.aggregate(all=Sum("reserved_delta"))["all"] == 6


def test_without_the_lock_stock_is_oversold_or_a_constraint_fails() -> None:
    """The negative control of the tests above: they would notice if the lock were gone."""
    mug = make_product(stock=1)
    unlocked = locks._LOCK_LEVELS.replace("FOR NO KEY UPDATE OF level", "")
    assert unlocked != locks._LOCK_LEVELS

    with patch.object(locks, "_LOCK_LEVELS", unlocked):
        outcomes = outcomes_at_once(buyers(mug, how_many=50))

    oversold = Order.objects.count() > 1
    stopped = any(isinstance(outcome, IntegrityError) for outcome in outcomes)
    assert oversold or stopped
    assert stock_of(mug)[1] <= 1  # the constraint, which holds without any lock


@pytest.mark.parametrize("baskets", [200])
def test_baskets_in_any_order_never_wait_in_a_circle(baskets: int) -> None:
    products = [make_product(stock=10_000) for _ in range(10)]
    before = deadlocks()
    outcomes: list[object] = []

    for _ in range(baskets // 25):
        outcomes += outcomes_at_once([_basket(products) for _ in range(25)])

    assert kinds(outcomes) == {"Placed": baskets}
    assert deadlocks() == before
    assert sum(stock_of(product)[1] for product in products) == baskets * 5


def test_baskets_locked_in_their_own_order_do_wait_in_circles() -> None:
    """The negative control: unsorted, the same baskets deadlock, and are tried again."""
    products = [make_product(stock=10_000) for _ in range(10)]
    before = deadlocks()

    with patch("orders.operations.placing.lock_stock_levels", _lock_one_by_one):
        for _ in range(4):
            outcomes_at_once([_basket(products) for _ in range(25)])
            if deadlocks() > before:
                break

    assert deadlocks() > before


def _basket(products: Sequence[Product]) -> Callable[[], Placed]:
    customer = make_customer()
    lines = [(product, 1) for product in random.sample(products, 5)]
    requested = placement(*lines, customer=customer)
    return lambda: place_order(actor=actor_for(customer), placement=requested)


def _lock_one_by_one(product_ids: Iterable[UUID], *, pipeline: Pipeline) -> Any:
    shuffled = sorted(product_ids)
    random.shuffle(shuffled)
    levels = [level for id in shuffled for level in locks.lock_stock_levels([id]).rows()]
    return SimpleNamespace(rows=lambda: levels)


def test_bulk_and_single_orders_share_the_last_units() -> None:
    mug, customer = make_product(stock=20), make_customer()
    one = placement((mug, 1), customer=customer)
    actor = actor_for(customer)

    outcomes = outcomes_at_once(
        [
            *[lambda: place_orders(actor=actor, placements=[one] * 8)] * 3,
            *[lambda: place_orders(actor=actor, placements=[one])] * 6,
        ]
    )

    every = [outcome for many in outcomes for outcome in many]
    assert kinds(every) == {"Placed": 20, "OutOfStock": 10}
    assert stock_of(mug) == (20, 20)


def test_a_lock_that_is_held_too_long_is_busy_and_not_a_failure() -> None:
    mug = make_product(stock=1)
    [buy] = buyers(mug, how_many=1)

    def hold_and_buy() -> object:
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '50ms'")
        return buy()

    with transaction.atomic():
        locks.lock_stock_levels([mug.id])
        [outcome] = outcomes_at_once([hold_and_buy])

    assert isinstance(outcome, DatabaseBusy)
    assert not isinstance(outcome, OutOfStock)
    assert stock_of(mug) == (1, 0)
