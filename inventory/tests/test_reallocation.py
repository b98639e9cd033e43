"""Reallocation: who loses stock, who gets it, in which order, with how many statements."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from unittest.mock import patch
from uuid import UUID

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_django import DjangoAssertNumQueries

from inventory.holdings import holdings_of
from inventory.models import Location, MovementKind, Product, StockLevel, StockMovement, WaitingItem
from inventory.operations import reallocation
from inventory.operations.stock import (
    Cause,
    StockAllocator,
    open_allocator_of_orders,
    open_stock_allocator,
)
from inventory.tests.stock_documents import violations
from oms.core import clock
from oms.core.actor import system
from oms.core.ids import new_id
from oms.events.models import Event
from oms.testing.factories import make_location, make_product

pytestmark = pytest.mark.django_db

START = datetime(2026, 11, 2, 9, tzinfo=UTC)
CODES = ("main", "second")


def cause(order_id: UUID | None = None) -> Cause:
    return Cause(actor=system("tests"), reference=f"step:{new_id()}", order_id=order_id)


def saved(allocator: StockAllocator) -> None:
    allocator.save(at=clock.now())


@transaction.atomic
def order_of(product: Product, quantity: int) -> UUID:
    """A new order of the product."""
    order_id = new_id()
    allocator = open_stock_allocator([product.id])
    allocator.reserve(product.id, quantity, cause=cause(order_id), place=order_id)
    saved(allocator)
    return order_id


@transaction.atomic
def change(product: Product, delta: int, *, at: str = "main") -> None:
    """Receive stock at a location, or find it broken."""
    allocator = open_stock_allocator([product.id])
    level = allocator.level_at(product.id, at)
    assert level is not None
    kind = MovementKind.RECEIVE if delta > 0 else MovementKind.ADJUST
    allocator.adjust(level, delta, kind=kind, cause=cause())
    saved(allocator)


@transaction.atomic
def release(order_id: UUID, product: Product, quantity: int | None = None) -> None:
    """Cancel the order, or a part of it."""
    allocator = open_allocator_of_orders([order_id])
    holdings = holdings_of([order_id])[order_id]
    if quantity is None:
        allocator.release_all(holdings, cause=cause(order_id))
    else:
        allocator.release_part(
            holdings, product_id=product.id, quantity=quantity, cause=cause(order_id)
        )
    saved(allocator)


def second_location(product: Product) -> None:
    """Make a location of a lower priority, where the product has a level without stock."""
    StockLevel.objects.create(product=product, location=make_location(code="second", priority=200))


def held(order_id: UUID) -> tuple[dict[str, int], int]:
    """What the order holds, by location, and what waits for it."""
    codes = dict(Location.objects.values_list("id", "code"))
    holdings = holdings_of([order_id])[order_id]
    reserved = {codes[location]: n for (_, location), n in holdings.reserved.items()}
    return reserved, sum(row.quantity for row in holdings.waiting)


class Model:
    """The same, one unit at a time."""

    def __init__(self, on_hand: int) -> None:
        self.on_hand = [on_hand, 0]
        # By order and location.
        self.reserved: Counter[tuple[int, int]] = Counter()
        # By order, which is the place in the queue.
        self.waiting: Counter[int] = Counter()
        self.orders = 0

    def free(self, place: int) -> int:
        return self.on_hand[place] - sum(n for (_, p), n in self.reserved.items() if p == place)

    def take(self, order: int, quantity: int) -> None:
        for _ in range(quantity):
            place = next((place for place in (0, 1) if self.free(place) > 0), None)
            if place is None:
                self.waiting[order] += 1
            else:
                self.reserved[order, place] += 1

    def place(self, quantity: int) -> None:
        self.take(self.orders, quantity)
        self.orders += 1

    def change(self, place: int, delta: int) -> None:
        self.on_hand[place] += delta
        lost: Counter[int] = Counter()
        while self.free(place) < 0:
            order = max(o for (o, p), n in self.reserved.items() if p == place and n)
            self.reserved[order, place] -= 1
            lost[order] += 1
        for order in sorted(lost):
            self.take(order, lost[order])
        self.serve()

    def release_part(self, order: int, quantity: int) -> None:
        for _ in range(quantity):
            if self.waiting[order]:
                self.waiting[order] -= 1
            else:
                self.reserved[order, 1 if self.reserved[order, 1] else 0] -= 1
        self.serve()

    def serve(self) -> None:
        while any(self.waiting.values()) and max(map(self.free, (0, 1))) > 0:
            order = min(order for order, n in self.waiting.items() if n)
            self.waiting[order] -= 1
            self.take(order, 1)

    def held(self, order: int) -> tuple[dict[str, int], int]:
        places = {CODES[p]: n for (o, p), n in self.reserved.items() if o == order and n}
        return places, self.waiting[order]


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["place", "change", "change", "release", "cancel"]),
        st.integers(min_value=0, max_value=1),  # which location
        st.integers(min_value=0, max_value=9),  # which order
        st.integers(min_value=-6, max_value=6),  # how many units
    ),
    max_size=14,
)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=STEPS, page=st.sampled_from([1, 3, 1_000]))
def test_any_sequence_is_reallocated_as_a_simple_model_does(
    db: None, steps: list[tuple[str, int, int, int]], page: int
) -> None:
    with transaction.atomic(), patch.object(reallocation, "_PAGE", page):
        product = make_product(stock=3, backorderable=True)
        second_location(product)
        model, orders = Model(3), list[UUID]()
        for number, (step, location, which, quantity) in enumerate(steps):
            # Ids of one millisecond have no order.
            with clock.stopped_at(START + timedelta(seconds=number)):
                if step == "place" and quantity > 0:
                    model.place(quantity)
                    orders.append(order_of(product, quantity))
                elif step == "change" and quantity and model.on_hand[location] + quantity >= 0:
                    model.change(location, quantity)
                    change(product, quantity, at=CODES[location])
                elif step in ("release", "cancel") and which < len(orders):
                    reserved, waiting = model.held(which)
                    everything = sum(reserved.values()) + waiting
                    less = everything if step == "cancel" else min(abs(quantity), everything)
                    model.release_part(which, less)
                    release(orders[which], product, None if step == "cancel" else less)
            assert [held(order) for order in orders] == list(map(model.held, range(len(orders))))
        assert violations() == []
        transaction.set_rollback(True)


def test_what_arrives_anywhere_goes_to_the_oldest_first() -> None:
    product = make_product(stock=0, backorderable=True)
    second_location(product)
    first, second, third = (order_of(product, n) for n in (5, 3, 2))

    change(product, 6, at="second")

    assert held(first) == ({"second": 5}, 0)
    assert held(second) == ({"second": 1}, 2)
    assert held(third) == ({}, 2)
    allocated = Event.objects.filter(type="product.stock_allocated").order_by("position")
    assert [(event.data["order_id"], event.data["quantity"]) for event in allocated] == [
        (str(first), 5),
        (str(second), 1),
    ]
    assert {event.actor_label for event in allocated} == {"allocation"}


def test_a_newcomer_does_not_overtake_those_who_wait() -> None:
    product = make_product(stock=1, backorderable=True)
    holds, waits, newcomer = (order_of(product, 1) for _ in range(3))

    release(holds, product)

    assert held(waits) == ({"main": 1}, 0)
    assert held(newcomer) == ({}, 1)


def test_the_latest_orders_lose_what_is_broken_and_get_it_back_first() -> None:
    product = make_product(stock=6)
    first, second, third = (order_of(product, 2) for _ in range(3))
    with pytest.raises(ValueError, match="cannot be reserved"):
        order_of(product, 1)

    change(product, -3)

    assert [held(order) for order in (first, second, third)] == [
        ({"main": 2}, 0),
        ({"main": 1}, 1),
        ({}, 2),
    ]
    lost = Event.objects.filter(type="product.stock_lost").order_by("position")
    assert {event.data["order_id"]: event.data["quantity"] for event in lost} == {
        str(second): 1,
        str(third): 2,
    }
    change(product, 1)
    assert held(second) == ({"main": 2}, 0)
    assert violations() == []


def test_what_is_broken_here_is_taken_from_another_location() -> None:
    product = make_product(stock=5)
    second_location(product)
    order = order_of(product, 5)
    change(product, 20, at="second")

    change(product, -3)

    assert held(order) == ({"main": 2, "second": 3}, 0)
    assert not WaitingItem.objects.exists()
    assert not Event.objects.filter(type__in=["product.stock_lost", "product.stock_allocated"])
    kinds = StockMovement.objects.filter(order_id=order, reference__startswith="allocation:")
    assert sorted(kinds.values_list("kind", "reserved_delta")) == [("release", -3), ("reserve", 3)]


def test_a_second_loss_joins_the_first_in_the_queue() -> None:
    product = make_product(stock=4)
    order = order_of(product, 4)

    change(product, -1)
    change(product, -2)

    [row] = WaitingItem.objects.all()
    assert (row.order_id, row.place, row.quantity) == (order, order, 3)


def test_an_older_order_that_was_served_late_does_not_lose_first() -> None:
    product = make_product(stock=1, backorderable=True)
    second_location(product)
    with clock.stopped_at(START):
        early = order_of(product, 2)
    with clock.stopped_at(START + timedelta(seconds=1)):
        change(product, 1, at="second")  # which `early` gets
        change(product, 3)
    with clock.stopped_at(START + timedelta(seconds=2)):
        late = order_of(product, 2)
    with clock.stopped_at(START + timedelta(seconds=3)):
        change(product, -1, at="second")  # and so moves to the first location, after `late`
    assert held(early) == ({"main": 2}, 0)

    with patch.object(reallocation, "_PAGE", 1), clock.stopped_at(START + timedelta(seconds=4)):
        change(product, -2)

    assert (held(early), held(late)) == (({"main": 2}, 0), ({}, 2))


def test_reservations_of_no_order_cannot_be_lost() -> None:
    product = make_product(stock=3)
    with transaction.atomic():
        allocator = open_stock_allocator([product.id])
        allocator.reserve(product.id, 2, cause=cause())
        saved(allocator)

    with pytest.raises(ValueError, match="than orders hold"):
        change(product, -2)


def test_only_orders_wait() -> None:
    product = make_product(stock=0, backorderable=True)
    with transaction.atomic(), pytest.raises(ValueError, match="Only orders wait"):
        open_stock_allocator([product.id]).reserve(product.id, 1, cause=cause())


def test_a_rollback_takes_back_what_was_queued() -> None:
    product = make_product(stock=1, backorderable=True)
    with transaction.atomic():
        allocator = open_stock_allocator([product.id])
        mark = allocator.savepoint()
        allocator.reserve(product.id, 3, cause=cause(new_id()))
        allocator.rollback(mark)
        saved(allocator)

    assert not WaitingItem.objects.exists()
    assert not StockMovement.objects.filter(kind="reserve").exists()


@pytest.mark.parametrize("number", [1, 12])
def test_the_number_of_statements_depends_neither_on_products_nor_on_orders(
    number: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    products = [make_product(stock=3, backorderable=True) for _ in range(number)]
    for product in products:
        for _ in range(number + 1):
            order_of(product, 2)

    def change_all(delta: int) -> None:
        allocator = open_stock_allocator(product.id for product in products)
        for product in products:
            level = allocator.product(product.id)
            assert level is not None
            kind = MovementKind.RECEIVE if delta > 0 else MovementKind.ADJUST
            allocator.adjust(level, delta, kind=kind, cause=cause())
        saved(allocator)

    with transaction.atomic():
        with django_assert_num_queries(3):  # the locks, the queue, and all that is written
            change_all(1)
        # The locks, a page of the ledger, what its orders hold, whether levels were made
        # meanwhile, and all that is written.
        with django_assert_num_queries(5):
            change_all(-2)
    assert violations() == []
