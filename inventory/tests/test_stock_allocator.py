"""StockAllocator: after any sequence of operations the balances are valid and match the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.db.models import Sum
from pytest_django import DjangoAssertNumQueries

from inventory.holdings import holdings_of
from inventory.models import Product, StockLevel, StockMovement
from inventory.operations.stock import (
    Cause,
    StockAllocator,
    open_stock_allocator,
)
from inventory.queries import shipped_quantities_of
from oms.core import clock
from oms.core.actor import system
from oms.core.ids import new_id
from oms.events.models import Event
from oms.testing.factories import make_location, make_product

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def operation(db: None) -> Iterator[None]:
    """The transaction of the operation that the allocator is a part of."""
    with transaction.atomic():
        yield


def cause(**fields: Any) -> Cause:
    return Cause(actor=system("tests"), reference=f"step:{new_id()}", **fields)


def saved(allocator: StockAllocator) -> None:
    allocator.save(at=clock.now())


def check_balances(products: Iterable[Product]) -> None:
    """Each level lies within its bounds, and equals the sum and the last entry of its ledger."""
    for level in StockLevel.objects.filter(product__in=products):
        ledger = StockMovement.objects.filter(product=level.product_id, location=level.location_id)
        sums = ledger.aggregate(on_hand=Sum("on_hand_delta"), reserved=Sum("reserved_delta"))
        assert (level.on_hand, level.reserved) == (sums["on_hand"] or 0, sums["reserved"] or 0)
        assert level.reserved >= 0
        assert level.on_hand >= 0
        assert level.reserved <= level.on_hand
        last = ledger.order_by("-id").first()
        if last is not None:
            assert (last.on_hand_after, last.reserved_after) == (level.on_hand, level.reserved)


def test_units_are_allocated_from_locations_by_priority() -> None:
    product = make_product(stock=3)
    for priority, stock in ((300, 5), (200, 2)):
        place = make_location(priority=priority)
        StockLevel.objects.create(product=product, location=place, on_hand=stock)
    allocator = open_stock_allocator([product.id])

    allocator.reserve(product.id, 6, cause=cause())

    drawn = [(m.level.priority, m.reserved_delta) for m in allocator.movements]
    assert drawn == [(100, 3), (200, 2), (300, 1)]


def test_more_than_there_is_cannot_be_reserved() -> None:
    product = make_product(stock=3)
    allocator = open_stock_allocator([product.id])

    assert not allocator.can_reserve(product.id, 4)
    assert not allocator.can_reserve(new_id(), 1)
    with pytest.raises(ValueError, match="cannot be reserved"):
        allocator.reserve(product.id, 4, cause=cause())
    assert allocator.movements == ()


def test_rollback_undoes_movements_since_the_savepoint() -> None:
    product = make_product(stock=5)
    with transaction.atomic():
        allocator = open_stock_allocator([product.id])
        allocator.reserve(product.id, 1, cause=Cause(actor=system("tests"), reference="kept"))
        mark = allocator.savepoint()
        allocator.reserve(product.id, 4, cause=Cause(actor=system("tests"), reference="undone"))

        allocator.rollback(mark)
        allocator.save(at=clock.now())

    assert StockLevel.objects.get(product=product).reserved == 1
    assert [m.reference for m in StockMovement.objects.filter(kind="reserve")] == ["kept"]


def test_steps_that_were_not_saved_leave_no_trace() -> None:
    product = make_product(stock=3)
    allocator = open_stock_allocator([product.id])

    allocator.reserve(product.id, 2, cause=cause())

    assert StockLevel.objects.get().reserved == 0
    assert StockMovement.objects.filter(kind="reserve").count() == 0


def test_a_step_takes_effect_once() -> None:
    product = make_product(stock=3)
    why = cause()
    for attempt in (1, 2):
        allocator = open_stock_allocator([product.id])
        allocator.reserve(product.id, 1, cause=why)
        if attempt == 1:
            saved(allocator)
        else:
            with pytest.raises(IntegrityError, match="movement_once"), transaction.atomic():
                saved(allocator)

    check_balances([product])


@pytest.mark.parametrize("number", [1, 15])
def test_the_number_of_statements_does_not_depend_on_the_quantity(
    number: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    products = [make_product(stock=5, low_stock_threshold=4) for _ in range(number)]

    with django_assert_num_queries(2):  # the locks, and all that is written
        allocator = open_stock_allocator(product.id for product in products)
        for product in products:
            allocator.reserve(product.id, 2, cause=cause())
        saved(allocator)

    check_balances(products)
    assert Event.objects.filter(type="product.stock_ran_low").count() == number


def test_shipped_and_returned_quantities_are_known_by_order() -> None:
    product, order_id = make_product(stock=5), new_id()
    allocator = open_stock_allocator([product.id])
    level = allocator.product(product.id)
    assert level is not None
    here = (product.id, level.location_id)
    allocator.reserve(product.id, 4, cause=cause(order_id=order_id))
    allocator.ship({here: 3}, cause=cause(order_id=order_id))
    allocator.return_units({here: 1}, cause=cause(order_id=order_id))
    saved(allocator)

    assert holdings_of([order_id])[order_id].reserved == {here: 1}
    assert shipped_quantities_of([order_id]) == {order_id: {here: 2}}
    assert shipped_quantities_of([new_id()]).popitem()[1] == {}
