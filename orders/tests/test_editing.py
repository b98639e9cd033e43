"""Changing an unpaid order."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from inventory.errors import OutOfStock
from inventory.models import Product, StockLevel, StockMovement
from inventory.operations.products import change_product
from oms.core.errors import Invalid, StaleVersion
from oms.events.models import Event
from oms.testing.factories import (
    actor_for,
    make_customer,
    make_location,
    make_product,
    make_staff,
)
from oms.testing.ordering import ADDRESS, paid_order, place, status_changes_of, stock_of
from orders.errors import OrderNotEditable
from orders.models import Order
from orders.operations.cancelling import cancel_order
from orders.operations.editing import OrderEdit, edit_order
from orders.placements import OrderedItem

pytestmark = pytest.mark.django_db


def edited(order: Order, *lines: tuple[Product, int], version: int | None = None) -> Order:
    items = [OrderedItem(product_id=product.id, quantity=n) for product, n in lines]
    return edit_order(
        actor=actor_for(make_staff()),
        order_id=order.id,
        edit=OrderEdit(items=items),
        expected_version=version,
    )


def test_editing_reserves_and_releases_the_difference() -> None:
    more, less, gone, new = (make_product() for _ in range(4))
    order = place((more, 1), (less, 5), (gone, 2))

    changed = edited(order, (new, 3), (more, 4), (less, 2))

    assert [stock_of(product)[1] for product in (more, less, gone, new)] == [4, 2, 0, 3]
    moves = StockMovement.objects.filter(order_id=order.id, reference__endswith=":v2")
    assert {(move.product_id, move.reserved_delta) for move in moves} == {
        (more.id, 3),
        (less.id, -3),
        (gone.id, -2),
        (new.id, 3),
    }
    assert changed.total == Decimal("179.10")
    saved = Order.objects.get(pk=order.id)
    assert (saved.version, saved.total) == (2, Decimal("179.10"))
    assert [(item.product_id, item.quantity) for item in saved.items.all()] == [
        (new.id, 3),
        (more.id, 4),
        (less.id, 2),
    ]
    assert status_changes_of(order) == ["order.placed", "order.edited"]


def repriced(*products: Product, **values: Any) -> None:
    for product in products:
        change_product(actor=actor_for(make_staff()), product_id=product.id, values=values)


def test_only_lines_that_do_not_grow_keep_their_price() -> None:
    same, less, more, new = (make_product(price=Decimal("1.00")) for _ in range(4))
    order = place((same, 2), (less, 2), (more, 1))
    lines = {item.id for item in order.items.all()}
    repriced(same, less, more, new, price=Decimal("100.00"), name="Renamed")

    changed = edited(order, (same, 2), (less, 1), (more, 3), (new, 1))

    items = list(changed.items.all())
    assert [item.unit_price for item in items] == [Decimal(price) for price in (1, 1, 100, 100)]
    assert [item.name == "Renamed" for item in items] == [False, False, True, True]
    assert changed.total == Decimal("403.00")
    # A line with another price stays the same line.
    assert {item.id for item in items} > lines


def test_a_product_no_longer_on_sale_may_stay_but_not_grow() -> None:
    mug = make_product(price=Decimal("10.00"))
    order = place((mug, 2))
    repriced(mug, is_active=False, price=Decimal("20.00"))

    with pytest.raises(Invalid) as refusal:
        edited(order, (mug, 3))
    fewer = edited(order, (mug, 1))

    assert [(e.pointer, e.code) for e in refusal.value.errors] == [
        ("/items/0/product_id", "not_found")
    ]
    assert fewer.total == Decimal("10.00")


def test_a_product_with_another_currency_by_now_may_stay_but_not_grow() -> None:
    mug = make_product(price=Decimal("10.00"))
    order = place((mug, 2))
    repriced(mug, currency="USD")

    with pytest.raises(Invalid) as refusal:
        edited(order, (mug, 3))
    fewer = edited(order, (mug, 1))

    assert [(e.pointer, e.code) for e in refusal.value.errors] == [
        ("/items/0/product_id", "currency_mismatch")
    ]
    assert (fewer.total, fewer.currency) == (Decimal("10.00"), "EUR")


def test_an_edit_without_enough_stock_changes_nothing_and_counts_the_reserved_units() -> None:
    mug, pot = make_product(stock=5), make_product()
    order = place((mug, 3), (pot, 1))

    with pytest.raises(OutOfStock) as refusal:
        edited(order, (mug, 6))

    assert [(s.requested, s.available) for s in refusal.value.shortages] == [(6, 5)]
    assert (stock_of(mug), stock_of(pot)) == ((5, 3), (10, 1))
    assert Order.objects.get(pk=order.id).version == 1
    assert edited(order, (mug, 5)).version == 2


def test_an_order_keeps_its_currency() -> None:
    euro, dollar = make_product(), make_product(currency="USD")
    order = place((euro, 1))

    with pytest.raises(Invalid) as refusal:
        edited(order, (dollar, 1))

    assert [(error.pointer, error.code) for error in refusal.value.errors] == [
        ("/items/0/product_id", "currency_mismatch")
    ]


def test_an_edit_that_changes_nothing_is_no_new_version() -> None:
    mug = make_product()
    order = place((mug, 2))

    same = edit_order(
        actor=actor_for(make_staff()),
        order_id=order.id,
        edit=OrderEdit(
            items=[OrderedItem(product_id=mug.id, quantity=2)],
            shipping_address=dict(ADDRESS),
            note="",
        ),
    )

    assert same.version == Order.objects.get(pk=order.id).version == 1
    assert status_changes_of(order) == ["order.placed"]


def test_address_and_note_are_recorded_with_their_old_values() -> None:
    order = place((make_product(), 1))
    address = {**ADDRESS, "city": "Hamburg"}

    edit_order(
        actor=actor_for(make_staff()),
        order_id=order.id,
        edit=OrderEdit(shipping_address=address, note="Ring twice."),
    )

    saved = Order.objects.get(pk=order.id)
    assert (saved.shipping_address, saved.note, saved.version) == (address, "Ring twice.", 2)
    event = Event.objects.get(type="order.edited", object_id=order.id)
    assert event.data["changes"] == {
        "shipping_address": [ADDRESS, address],
        "note": ["", "Ring twice."],
    }


def test_an_order_edited_down_to_nothing_to_pay_is_confirmed() -> None:
    mug, sample = make_product(), make_product(price=Decimal("0.00"))
    order = place((mug, 1))

    edited(order, (sample, 1))

    saved = Order.objects.get(pk=order.id)
    assert (saved.status, saved.payment_status) == ("confirmed", "paid")
    assert status_changes_of(order) == ["order.placed", "order.edited", "order.confirmed"]


def test_less_of_an_order_from_two_locations_is_released_where_it_was_promised() -> None:
    mug, store = make_product(stock=2), make_location()
    StockLevel.objects.create(product=mug, location=store, on_hand=3)
    order = place((mug, 5))

    edited(order, (mug, 1))

    assert stock_of(mug) == (5, 1)
    assert all(0 <= level.reserved <= level.on_hand for level in mug.stock_levels.all())
    cancel_order(actor=actor_for(make_staff()), order_id=order.id)
    assert stock_of(mug) == (5, 0)


def test_a_product_twice_is_refused_at_its_second_line() -> None:
    mug, pot = make_product(), make_product()
    order = place((mug, 1))

    with pytest.raises(Invalid) as refused:
        edited(order, (mug, 1), (pot, 1), (mug, 2))

    [error] = refused.value.errors
    assert (error.pointer, error.code) == ("/items/2/product_id", "duplicate")
    assert stock_of(mug) == (10, 1)


def test_paid_orders_and_those_being_paid_cannot_be_edited() -> None:
    mug = make_product()

    for order in (place((mug, 1), token="tok_success"), paid_order((mug, 1))):
        with pytest.raises(OrderNotEditable):
            edited(order, (mug, 2))


def test_a_stale_edit_is_refused() -> None:
    mug, customer = make_product(), make_customer()
    order = place((mug, 1), customer=customer)
    edited(order, (mug, 2), version=1)

    with pytest.raises(StaleVersion):
        edited(order, (mug, 3), version=1)

    assert stock_of(mug) == (10, 2)
