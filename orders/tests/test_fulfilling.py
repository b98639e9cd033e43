"""Shipping and delivering orders."""

from __future__ import annotations

import pytest

from inventory.models import StockLevel, StockMovement
from oms.core.errors import Invalid
from oms.core.ids import new_id
from oms.events.models import Event
from oms.testing.factories import actor_for, make_location, make_product, make_staff
from oms.testing.ordering import paid_order, place, status_changes_of, stock_of
from orders.errors import NothingToShip, OrderNotShippable
from orders.models import Order, Shipment
from orders.operations.fulfilling import ship_items
from orders.operations.quantities import ItemQuantity
from orders.operations.status_changes import set_order_status
from orders.states import OrderStatus

pytestmark = pytest.mark.django_db


def ship(order: Order, *lines: tuple[int, int]) -> Shipment:
    """Ship quantities of the order's items by position, or everything that remains."""
    items = list(order.items.all())
    return ship_items(
        actor=actor_for(make_staff()),
        order_id=order.id,
        items=[ItemQuantity(order_item_id=items[position].id, quantity=n) for position, n in lines]
        or None,
        carrier="DHL",
        tracking_number="JD01",
    )


def test_shipping_everything_removes_the_stock() -> None:
    mug, pot = make_product(), make_product()
    order = paid_order((mug, 3), (pot, 1))

    shipment = ship(order)

    order.refresh_from_db()
    assert (order.status, order.fulfilment_status) == ("shipped", "shipped")
    assert (stock_of(mug), stock_of(pot)) == ((7, 0), (9, 0))
    assert (shipment.status, shipment.carrier) == ("shipped", "DHL")
    assert status_changes_of(order)[-3:] == [
        "order.processing_started",
        "order.shipped",
        "order.shipment_sent",
    ]
    move = StockMovement.objects.get(order_id=order.id, kind="ship", product=mug)
    assert (move.on_hand_delta, move.reserved_delta) == (-3, -3)


def test_partial_shipments_until_nothing_remains() -> None:
    mug, pot = make_product(), make_product()
    order = paid_order((mug, 3), (pot, 1))

    ship(order, (0, 2))
    order.refresh_from_db()
    assert (order.status, order.fulfilment_status) == ("processing", "partially_shipped")
    assert (stock_of(mug), stock_of(pot)) == ((8, 1), (10, 1))

    with pytest.raises(NothingToShip) as refusal:
        ship(order, (0, 2))
    assert refusal.value.data["items"][0]["left"] == 1

    ship(order, (0, 1), (1, 1))
    order.refresh_from_db()
    assert (order.status, order.fulfilment_status) == ("shipped", "shipped")
    assert (stock_of(mug), stock_of(pot)) == ((7, 0), (9, 0))
    sent = Event.objects.filter(type="order.shipment_sent", object_id=order.id)
    assert [(e.data["pieces"], e.data["is_complete"]) for e in sent.order_by("position")] == [
        (2, False),
        (2, True),
    ]
    with pytest.raises(OrderNotShippable):
        ship(order)


def test_an_item_of_another_order_is_rejected() -> None:
    order = paid_order((make_product(), 1))

    with pytest.raises(Invalid) as refusal:
        ship_items(
            actor=actor_for(make_staff()),
            order_id=order.id,
            items=[ItemQuantity(order_item_id=new_id(), quantity=1)],
        )

    assert refusal.value.errors[0].pointer == "/items/0/order_item_id"
    assert not Shipment.objects.exists()


def test_an_order_awaiting_payment_cannot_be_shipped() -> None:
    with pytest.raises(OrderNotShippable):
        ship(place((make_product(), 1)))


def test_stock_leaves_the_locations_where_it_was_reserved() -> None:
    mug, store = make_product(stock=2), make_location()
    StockLevel.objects.create(product=mug, location=store, on_hand=3)
    order = paid_order((mug, 4))

    ship(order, (0, 1))
    ship(order, (0, 3))

    assert stock_of(mug) == (1, 0)
    assert StockLevel.objects.get(product=mug, location=store).on_hand == 1


def test_delivering_an_order_delivers_its_shipments() -> None:
    order = paid_order((make_product(), 1))
    shipment = ship(order)

    set_order_status(actor=actor_for(make_staff()), order_id=order.id, status=OrderStatus.DELIVERED)

    order.refresh_from_db()
    shipment.refresh_from_db()
    assert (order.status, order.fulfilment_status) == ("delivered", "delivered")
    assert shipment.status == "delivered"
    assert shipment.delivered_at is not None
