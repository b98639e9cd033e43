"""Placing, receiving, damage and cancelling of one product at once, on real servers."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from uuid import UUID

import httpx
import pytest
from django.db import connection, transaction

from inventory.holdings import holdings_of
from inventory.models import Product, StockLevel, WaitingItem
from inventory.operations.documents import StockLine
from inventory.operations.receiving import receive_stock
from inventory.operations.stock import open_stock_allocator
from oms.checks import CHECKS
from oms.core.actor import system
from oms.events.models import Event
from oms.events.relay import recorded
from oms.fastpath.tests.calls import order_body, token_of
from oms.reconcile.runner import run_checks
from oms.testing.factories import make_customer, make_location, make_product, make_staff
from oms.testing.ordering import outcomes_at_once, place
from oms.testing.processes import Processes
from oms.testing.threads import at_once, until_somebody_waits_for_a_lock
from orders.models import Order
from orders.operations.allocating import EVENT_TYPES, apply_allocation_events
from orders.operations.cancellations import cancel_items
from orders.operations.cancelling import cancel_order
from orders.operations.quantities import ItemQuantity

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

CODES = ("main", "second")


class Shop:
    """Clients of two web processes, and a product that may be ordered beyond its stock."""

    def __init__(self, servers: Processes) -> None:
        self.url = servers.web_url + "/api/v1"
        make_location(code="second")
        self.product: Product = make_product(stock=3, backorderable=True)
        self.staff, self.customer = token_of(make_staff()), token_of(make_customer())

    def call(self, method: str, path: str, body: Any, *, token: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"}
        return httpx.request(method, self.url + path, json=body, headers=headers, timeout=30)

    def place(self, quantity: int) -> httpx.Response:
        body = order_body((self.product.id, quantity))
        return self.call("POST", "/orders", body, token=self.customer)

    def cancel(self, order_id: UUID) -> httpx.Response:
        return self.call("PUT", f"/orders/{order_id}/cancel", {}, token=self.customer)

    def adjust(self, delta: int, location: str) -> httpx.Response:
        body = {
            "product_id": str(self.product.id),
            "delta": delta,
            "reason": "received" if delta > 0 else "damaged",
            "location": location,
        }
        return self.call("POST", "/admin/inventory/adjustments", body, token=self.staff)


@pytest.fixture(scope="module")
def servers(module_processes: Processes) -> Processes:
    """Two web processes."""
    module_processes.start("web", {"WEB_WORKERS": "2"})
    return module_processes


@pytest.fixture
def shop(servers: Processes, transactional_db: None) -> Shop:
    return Shop(servers)


def deadlocks() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        [count] = cursor.fetchone()
    return int(count)


@transaction.atomic
def relay_allocations() -> None:
    types = [fact.type for fact in EVENT_TYPES]
    events = Event.objects.filter(type__in=types).order_by("position")
    apply_allocation_events([recorded(event) for event in events])


def violations() -> list[str]:
    checks = [check for check in CHECKS if "stock" in check.name or "wait" in check.name]
    return [
        f"{finding.name}: {violation.id} {violation.detail}"
        for finding in run_checks(checks)
        for violation in finding.violations
    ]


def rush(works: Sequence[Callable[[], httpx.Response]], *, seed: int) -> list[int]:
    """The statuses of the calls, eight of which are made at a time in a random order."""
    works = random.Random(seed).sample(works, len(works))
    statuses = []
    for start in range(0, len(works), 8):
        for outcome in outcomes_at_once(works[start : start + 8]):
            assert isinstance(outcome, httpx.Response), outcome
            statuses.append(outcome.status_code)
    return statuses


def orders_of(shop: Shop) -> list[UUID]:
    return list(Order.objects.order_by("id").values_list("id", flat=True))


@pytest.mark.parametrize("seed", range(2))
def test_the_books_are_right_whatever_happens_at_once(shop: Shop, seed: int) -> None:
    before = deadlocks()
    assert rush([partial(shop.place, n) for n in (1, 2, 3, 1, 2, 3, 4, 1)], seed=seed) == [201] * 8

    statuses = rush(
        [partial(shop.place, quantity) for quantity in (1, 2, 3, 1, 2, 3, 1, 2)]
        + [partial(shop.cancel, order_id) for order_id in orders_of(shop)[::2]]
        + [partial(shop.adjust, delta, code) for code in CODES for delta in (1, 4, 2, -1, -2)],
        seed=seed,
    )

    # Damage of what is not there is refused.
    assert set(statuses) <= {200, 201, 409}
    assert statuses.count(409) <= 4
    relay_allocations()
    assert violations() == []
    assert deadlocks() == before


@pytest.mark.parametrize("seed", range(2))
def test_nobody_overtakes(shop: Shop, seed: int) -> None:
    rush([partial(shop.place, n) for n in (2, 2, 1, 3, 2, 1, 2, 3)], seed=seed)

    statuses = rush(
        [partial(shop.place, quantity) for quantity in (1, 2, 1, 2, 1, 1, 2, 2)]
        + [partial(shop.cancel, order_id) for order_id in orders_of(shop)[1::3]]
        + [partial(shop.adjust, 2, code) for code in CODES * 2],
        seed=seed,
    )

    assert set(statuses) == {200, 201}
    relay_allocations()
    assert violations() == []
    waiting = WaitingItem.objects.order_by("place")
    first = waiting[0].order_id
    assert waiting.count() > 1, "or nobody could have overtaken"
    holdings = holdings_of(orders_of(shop))
    holding = [id for id, of_order in holdings.items() if of_order.reserved]
    assert all(order_id <= first for order_id in holding)


@pytest.fixture
def scarce() -> Product:
    """A product without stock that may be ordered all the same; there is a second location."""
    make_location(code="second")
    return make_product(stock=0, backorderable=True)


def receive_while(product: Product, call: Callable[[], object]) -> None:
    """Make the product's second level, with 5, while `call` waits for the lock of the first."""
    waits = threading.Event()
    line = StockLine(product_id=product.id, quantity=5)

    @transaction.atomic
    def receive() -> None:
        open_stock_allocator([product.id])
        waits.set()
        until_somebody_waits_for_a_lock()
        receive_stock(actor=system("tests"), reference="R-1", lines=[line], location="second")

    def wait_and_call() -> None:
        waits.wait(timeout=10)
        call()

    at_once(receive, wait_and_call)
    relay_allocations()
    assert violations() == []


def test_an_order_gets_what_arrived_at_a_new_level_while_it_waited(scarce: Product) -> None:
    receive_while(scarce, partial(place, (scarce, 3), customer=make_customer()))

    assert not WaitingItem.objects.exists()
    assert StockLevel.objects.get(location__code="second").reserved == 3


def test_an_order_is_cancelled_that_was_allocated_at_a_new_level(scarce: Product) -> None:
    order = place((scarce, 3))

    receive_while(scarce, lambda: cancel_order(actor=system("tests"), order_id=order.id))

    level = StockLevel.objects.get(location__code="second")
    assert (level.on_hand, level.reserved) == (5, 0)


def test_a_part_is_cancelled_that_was_allocated_at_a_new_level(scarce: Product) -> None:
    order = place((scarce, 3))
    [item] = order.items.all()
    parts = [ItemQuantity(order_item_id=item.id, quantity=2)]

    receive_while(
        scarce, lambda: cancel_items(actor=system("tests"), order_id=order.id, items=parts)
    )

    level = StockLevel.objects.get(location__code="second")
    assert (level.on_hand, level.reserved) == (5, 1)
