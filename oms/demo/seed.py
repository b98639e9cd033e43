"""Creating the demo shop in one transaction, by the operations of the shop."""

from __future__ import annotations

import heapq
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from random import Random

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F

from inventory.models import Product
from oms.core import clock
from oms.core.clock import business_date
from oms.demo.accounts import create_accounts
from oms.demo.notifications import notify_as_sent, skip_seeded_events
from oms.demo.orders import DemoOrder, relay_allocations
from oms.demo.products import demo_products
from oms.demo.provider_ledger import write_provider_ledger
from oms.demo.scenarios import Action, PlannedOrder, plan_orders
from oms.demo.stock import create_products, take_stock
from oms.events.partitions import make_partitions
from oms.queue.wakeups import wakeups_sent_by
from orders.models import Order
from payments.models import Payment, Refund
from reports.models import DailyReport

# The shop opened so long before the first order.
_OPENED_BEFORE = timedelta(days=15)
# Workers retry open payments and refunds that long after the seed, so that visitors can see them.
_OPEN_FOR = timedelta(minutes=4)

# The delay of each action after the one before, from and to, in seconds.
_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0
_DELAYS: dict[Action, tuple[float, float]] = {
    Action.DECLINE: (1, 4),
    Action.RETRY_PAYMENT: (1 * _MINUTE, 12 * _MINUTE),
    Action.TIME_OUT: (8, 12),
    Action.CAPTURE: (1, 6),
    Action.PROCESS: (20 * _MINUTE, 9 * _HOUR),
    Action.HOLD: (10 * _MINUTE, 2 * _HOUR),
    Action.RESUME: (2 * _HOUR, 20 * _HOUR),
    Action.SHIP_PART: (1 * _HOUR, 12 * _HOUR),
    Action.SHIP: (1 * _HOUR, 20 * _HOUR),
    Action.DELIVER: (1 * _DAY, 3 * _DAY),
    Action.CANCEL: (2 * _MINUTE, 18 * _MINUTE),
    Action.EXPIRE: (1, 16),  # after the order's expiry
    Action.REFUND_PART: (5 * _HOUR, 3 * _DAY),
    Action.RETURN: (1 * _DAY, 5 * _DAY),
    Action.SETTLE_REFUND: (2, 8),
}


class ShopNotEmpty(Exception):
    """The shop has products or orders already."""


@dataclass(frozen=True, kw_only=True)
class SeededShop:
    """How much was created."""

    products: int
    customers: int
    orders: int


def require_empty_shop() -> None:
    """Raises ShopNotEmpty, with what exists."""
    products, orders = Product.objects.count(), Order.objects.count()
    if products or orders:
        raise ShopNotEmpty(f"The shop has {products} products and {orders} orders already.")


def seed_shop(
    *,
    orders: int,
    seed: int,
    now: datetime,
    ledger: Path,
    days: int = 30,
    placed: Callable[[], None] = lambda: None,
) -> SeededShop:
    """Create the demo shop with so many orders of the `days` before `now`, or nothing at all.

    `ledger` is the sandbox provider's file, which is replaced. `placed` is called after each order.
    Raises ShopNotEmpty.
    """
    random = Random(seed)
    opened_at = now - timedelta(days=days) - _OPENED_BEFORE
    make_partitions(first=opened_at, last=now)
    # No wake-ups, and no warnings about the simulated timeouts.
    with _quiet(), wakeups_sent_by(lambda task: None), transaction.atomic():
        require_empty_shop()
        with clock.stopped_at(opened_at):
            accounts = create_accounts(orders=orders, random=random)
        staff, catalogue = accounts.staff, demo_products()
        plans = plan_orders(
            orders=orders,
            days=days,
            now=now,
            zone=settings.BUSINESS_TIME_ZONE,
            customers=len(accounts.customers),
            products=catalogue,
            random=random,
        )
        with clock.stopped_at(opened_at):
            products = create_products(catalogue, plans, staff=staff, random=random)
        timeline = _Timeline()
        for plan in plans:
            order = DemoOrder(
                plan=plan,
                customer=accounts.customers[plan.customer],
                products=products,
                staff=staff,
            )
            timeline.add(plan.placed_at, order.place)
            timeline.add(plan.placed_at, placed)
            for action, at in _schedule(plan, now=now):
                timeline.add(at, partial(order.apply, action))
        timeline.run()
        with clock.stopped_at(now):
            for item, product in zip(catalogue, products, strict=True):
                take_stock(item, product, staff=staff)
            relay_allocations()
        _postpone_open_payments()
        notify_as_sent()
        # Stored reports of these days do not include the new orders.
        DailyReport.objects.filter(date__gte=business_date(opened_at)).delete()
        skip_seeded_events()
        write_provider_ledger(ledger)
    if not connection.in_atomic_block:
        with connection.cursor() as cursor:
            # Otherwise the first queries are planned for empty tables.
            cursor.execute("VACUUM ANALYZE")
    return SeededShop(products=len(products), customers=len(accounts.customers), orders=orders)


class _Timeline:
    """Calls functions in the order of time, with the clock stopped at the time of each."""

    def __init__(self) -> None:
        self._waiting: list[tuple[datetime, int, Callable[[], None]]] = []
        self._sequence = count()

    def add(self, at: datetime, function: Callable[[], None]) -> None:
        heapq.heappush(self._waiting, (at, next(self._sequence), function))

    def run(self) -> None:
        while self._waiting:
            at, _, function = heapq.heappop(self._waiting)
            with clock.stopped_at(at):
                function()


def _schedule(plan: PlannedOrder, *, now: datetime) -> Iterator[tuple[Action, datetime]]:
    """The order's actions with their times, which are closer together for recent orders."""
    random = Random(plan.seed)
    delays: Sequence[float] = [random.uniform(*_DELAYS[action]) for action in plan.actions]
    age = (now - plan.placed_at).total_seconds()
    if Action.EXPIRE not in plan.actions and sum(delays) > age:
        delays = [delay * age * 0.98 / sum(delays) for delay in delays]
    at = plan.placed_at
    for action, delay in zip(plan.actions, delays, strict=True):
        if action is Action.EXPIRE:
            at = plan.placed_at + settings.ORDER_EXPIRY
        at += timedelta(seconds=delay)
        yield action, at


def _postpone_open_payments() -> None:
    for model in (Payment, Refund):
        model._default_manager.filter(next_attempt_at__isnull=False).update(
            next_attempt_at=F("next_attempt_at") + _OPEN_FOR
        )


@contextmanager
def _quiet() -> Iterator[None]:
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
