"""Placing orders."""

from __future__ import annotations

from decimal import Decimal
from unittest.mock import patch
from uuid import UUID

import pytest
from django.db import IntegrityError, connection
from django.test.utils import CaptureQueriesContext

from inventory.errors import OutOfStock
from inventory.models import StockLevel, StockMovement
from oms.core.errors import Invalid
from oms.core.ids import new_id
from oms.db.transactions import DatabaseBusy
from oms.events.models import Event
from oms.testing.factories import actor_for, make_customer, make_location, make_product
from oms.testing.ordering import place, placement, status_changes_of, stock_of
from orders.errors import RejectedWithOthers
from orders.models import Order
from orders.operations import placing
from orders.operations.placing import place_order, place_orders
from orders.placements import Placed
from orders.queries import items_of
from payments.models import Payment

pytestmark = pytest.mark.django_db


def test_placing_reserves_the_stock_and_keeps_the_prices_of_the_moment() -> None:
    mug, pot = make_product(stock=5), make_product(stock=4, price=Decimal("7.25"))

    order = place((mug, 3), (pot, 2))

    order = Order.objects.get(pk=order.id)
    assert (order.status, order.payment_status) == ("pending", "unpaid")
    assert order.total == Decimal("74.20")
    assert [
        (item.product_id, item.quantity, item.unit_price, item.line_total)
        for item in order.items.all()
    ] == [
        (mug.id, 3, Decimal("19.90"), Decimal("59.70")),
        (pot.id, 2, Decimal("7.25"), Decimal("14.50")),
    ]
    assert (stock_of(mug), stock_of(pot)) == ((5, 3), (4, 2))
    assert status_changes_of(order) == ["order.placed"]
    assert order.shipping_address["line1"] == "Rosenthaler Straße 40"


def test_placing_returns_the_saved_order() -> None:
    mug, customer = make_product(), make_customer()

    placed = place_order(
        actor=actor_for(customer),
        placement=placement((mug, 2), customer=customer, token="tok_success", note="Ring twice."),
    )

    saved = Order.objects.get(pk=placed.order.id)
    for name, value in placed.order._asdict().items():
        assert getattr(saved, name) == value, name
    assert placed.items == tuple(items_of([saved.id])[saved.id])


def test_an_order_that_is_short_names_every_short_line_and_reserves_nothing() -> None:
    plenty, few, none = make_product(stock=9), make_product(stock=1), make_product(stock=0)

    with pytest.raises(OutOfStock) as refusal:
        place((few, 2), (plenty, 1), (none, 4))

    assert [
        (error.pointer, error.data["sku"], error.data["requested"], error.data["available"])
        for error in refusal.value.errors
    ] == [("/items/0/quantity", few.sku, 2, 1), ("/items/2/quantity", none.sku, 4, 0)]
    assert [stock_of(product) for product in (plenty, few, none)] == [(9, 0), (1, 0), (0, 0)]
    assert not Order.objects.exists()


def test_products_that_are_unknown_inactive_or_of_another_currency_are_refused_together() -> None:
    euro, dollar = make_product(), make_product(currency="USD")
    inactive = make_product(is_active=False)

    with pytest.raises(Invalid) as refusal:
        place((euro, 1), (inactive, 1), (new_id(), 1), (dollar, 1))

    assert [(error.pointer, error.code) for error in refusal.value.errors] == [
        ("/items/1/product_id", "not_found"),
        ("/items/2/product_id", "not_found"),
        ("/items/3/product_id", "currency_mismatch"),
    ]
    assert stock_of(euro) == (10, 0)


def test_a_refused_placement_does_not_disturb_the_others() -> None:
    mug, customer = make_product(stock=3), make_customer()
    placements = [placement((mug, n), customer=customer) for n in (2, 2, 1)]

    first, second, third = place_orders(actor=actor_for(customer), placements=placements)

    assert isinstance(first, Placed)
    assert isinstance(second, OutOfStock)
    assert second.shortages[0].available == 1
    assert isinstance(third, Placed)
    assert Order.objects.count() == 2
    assert stock_of(mug) == (3, 3)


def test_all_or_nothing_places_nothing_and_marks_the_valid_placements() -> None:
    mug, customer = make_product(stock=3), make_customer()
    placements = [placement((mug, n), customer=customer) for n in (2, 2)]

    first, second = place_orders(
        actor=actor_for(customer), placements=placements, all_or_nothing=True
    )

    assert isinstance(first, RejectedWithOthers)
    assert isinstance(second, OutOfStock)
    assert not Order.objects.exists()
    assert not Payment.objects.exists()
    assert not Event.objects.filter(object_type="order").exists()
    assert stock_of(mug) == (3, 0)


def test_all_or_nothing_places_all_when_all_can_be_had() -> None:
    mug, customer = make_product(stock=3), make_customer()
    placements = [placement((mug, n), customer=customer) for n in (2, 1)]

    outcomes = place_orders(actor=actor_for(customer), placements=placements, all_or_nothing=True)

    assert all(isinstance(outcome, Placed) for outcome in outcomes)
    assert stock_of(mug) == (3, 3)


@pytest.mark.parametrize("orders", [1, 10, 200])
def test_the_number_of_statements_does_not_depend_on_how_many_orders_there_are(
    orders: int,
) -> None:
    customer = make_customer()
    products = [make_product(stock=1_000) for _ in range(5)]
    placements = [
        placement(
            *[(product, 1) for product in products[number % 3 :]],
            customer=customer,
            token="tok_success",
        )
        for number in range(orders)
    ]

    with CaptureQueriesContext(
        connection,
    ) as statements:
        outcomes = place_orders(actor=actor_for(customer), placements=placements)

    assert all(isinstance(outcome, Placed) for outcome in outcomes)
    sql = [query["sql"].split("(")[0].strip().split("\n")[0] for query in statements]
    # The locks, and all that is written, in a savepoint of the test's.
    assert len([one for one in sql if "SAVEPOINT" not in one]) == 2, sql
    assert Payment.objects.count() == orders
    assert Event.objects.filter(type="payment.requested").count() == orders


def test_an_order_that_costs_nothing_is_confirmed_at_once() -> None:
    sample = make_product(price=Decimal("0.00"))

    order = Order.objects.get(pk=place((sample, 1), token="tok_success").id)

    assert (order.status, order.payment_status) == ("confirmed", "paid")
    assert order.expires_at is None
    assert order.confirmed_at == order.placed_at
    assert not Payment.objects.exists()
    assert status_changes_of(order) == ["order.placed", "order.confirmed"]
    assert stock_of(sample) == (10, 1)


def test_stock_is_allocated_from_several_locations_by_priority() -> None:
    mug = make_product(stock=2)
    store = make_location()
    StockLevel.objects.create(product=mug, location=store, on_hand=3)

    order = place((mug, 4))

    reserved = StockMovement.objects.filter(order_id=order.id, kind="reserve")
    by_place = {movement.location_id: movement.reserved_delta for movement in reserved}
    assert by_place.pop(store.id) == 2
    assert list(by_place.values()) == [2]
    assert stock_of(mug) == (5, 4)
    with pytest.raises(OutOfStock):
        place((mug, 2))


def test_falling_to_the_threshold_is_reported_once() -> None:
    mug = make_product(stock=8, low_stock_threshold=5)

    for _ in range(3):
        place((mug, 2))

    events = Event.objects.filter(type="product.stock_ran_low", object_id=mug.id)
    assert [event.data["available"] for event in events] == [4]


def test_a_duplicate_order_number_is_replaced(transactional_db: None) -> None:
    taken = place((make_product(), 1)).number
    numbers = iter([taken, "20261121-FRESH1"])

    with patch.object(placing, "order_number", lambda *, placed_at: next(numbers)):
        order = place((make_product(), 1))

    assert order.number == "20261121-FRESH1"
    assert Order.objects.count() == 2


def test_a_number_that_is_always_taken_is_busy_in_the_end(transactional_db: None) -> None:
    mug = make_product()
    taken = place((mug, 1)).number

    with (
        patch.object(placing, "order_number", lambda *, placed_at: taken),
        pytest.raises(DatabaseBusy) as refusal,
    ):
        place((mug, 1))

    assert isinstance(refusal.value.__cause__, IntegrityError)
    assert stock_of(mug) == (10, 1)


def test_ids_of_orders_are_made_in_the_order_of_placing() -> None:
    mug = make_product()

    ids: list[UUID] = [place((mug, 1)).id for _ in range(5)]

    assert sorted(ids) == ids
