"""Shipping and delivering orders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from inventory.holdings import holdings_of
from inventory.operations.stock import Cause, open_stock_allocator
from oms.core import clock
from oms.core.actor import Actor
from oms.core.permissions import Permission
from oms.db.transactions import transaction, transaction_required
from oms.events.publishing import publish
from orders.errors import NothingToShip, OrderNotShippable
from orders.events import ShipmentSent
from orders.locks import items_of, lock_order
from orders.models import Order, OrderItem, Shipment, ShipmentItem
from orders.operations.quantities import ItemQuantity, quantities_by_item
from orders.operations.transitions import transition_order
from orders.operations.waiting import learn_waiting
from orders.states import FulfilmentState, OrderStatus, ShipmentStatus
from payments.operations.refunds import request_capture_for_order


@transaction
def ship_items(
    *,
    actor: Actor,
    order_id: UUID,
    items: Sequence[ItemQuantity] | None = None,
    carrier: str = "",
    tracking_number: str = "",
    reason: str = "",
    expected_version: int | None = None,
) -> Shipment:
    """Ship `items`, by default everything allocated; their stock leaves the locations.

    What waits for stock is left for another shipment. A confirmed order starts processing first; a
    completely shipped order becomes shipped. Raises PermissionDenied, NotFound, StaleVersion,
    OrderNotShippable, NothingToShip, and Invalid for unknown items.
    """
    actor.require(Permission.ORDERS_VIEW, Permission.ORDERS_SHIP)
    order = lock_order(order_id, actor=actor, expected_version=expected_version)
    if not order.is_shippable:
        raise OrderNotShippable(current_status=order.status)
    return ship_locked(
        order,
        actor=actor,
        items=items,
        carrier=carrier,
        tracking_number=tracking_number,
        reason=reason,
        at=clock.now(),
    )


@transaction_required
def ship_locked(
    order: Order,
    *,
    actor: Actor,
    items: Sequence[ItemQuantity] | None,
    carrier: str,
    tracking_number: str,
    reason: str,
    at: datetime,
    completely: bool = False,
) -> Shipment:
    """Ship items of an order that the caller has locked and found shippable.

    By default everything allocated; with `completely` only if nothing waits.
    """
    own = items_of([order.id])[order.id]
    # Payments come before stock in the order of locks.
    request_capture_for_order(actor=actor, order_id=order.id)
    stock = open_stock_allocator(item.product_id for item in own if item.left_to_ship)
    holdings = holdings_of([order.id])[order.id]
    learn_waiting({order: own}, {order.id: holdings}, at=at)
    quantities = _shipment_quantities(own, items, completely=completely)
    if order.status == OrderStatus.CONFIRMED:
        transition_order(order, OrderStatus.PROCESSING, actor=actor, at=at, reason=reason)
    shipment = Shipment.objects.create(
        order=order,
        status=ShipmentStatus.SHIPPED,
        carrier=carrier,
        tracking_number=tracking_number,
        created_at=at,
        shipped_at=at,
    )
    ShipmentItem.objects.bulk_create(
        ShipmentItem(shipment=shipment, order_item=item, quantity=quantity)
        for item, quantity in quantities.items()
    )
    for item, quantity in quantities.items():
        item.quantity_shipped += quantity
    OrderItem.objects.bulk_update(own, ["quantity_shipped", "quantity_waiting"])
    order.update_fulfilment_status(own)
    if order.fulfilment_status == FulfilmentState.SHIPPED:
        transition_order(order, OrderStatus.SHIPPED, actor=actor, at=at, reason=reason)
    else:
        order.touch(at=at)
        order.save(update_fields=["fulfilment_status", "version", "updated_at"])
    places: dict[tuple[UUID, UUID], int] = {}
    for item, quantity in quantities.items():
        places |= _places(item, quantity, holdings.reserved)
    cause = Cause(actor=actor, reference=f"shipment:{shipment.id}", order_id=order.id)
    stock.ship(places, cause=cause)
    stock.save(at=at)
    publish(
        ShipmentSent(
            order_id=order.id,
            number=order.number,
            customer_id=order.customer_id,
            shipment_id=shipment.id,
            carrier=carrier,
            tracking_number=tracking_number,
            is_complete=order.fulfilment_status == FulfilmentState.SHIPPED,
            pieces=sum(quantities.values()),
        ),
        actor=actor,
        at=at,
    )
    return shipment


def _shipment_quantities(
    own: Sequence[OrderItem], items: Sequence[ItemQuantity] | None, *, completely: bool
) -> dict[OrderItem, int]:
    """Quantities by order item. Reports all items that cannot be shipped."""
    if items is None:
        allocated = {item: item.allocated for item in own if item.allocated}
        if not allocated or (completely and any(item.quantity_waiting for item in own)):
            raise NothingToShip(items=[_remaining(item) for item in own if item.left_to_ship])
        return allocated
    return quantities_by_item(
        own,
        ((item.order_item_id, item.quantity) for item in items),
        left=lambda item: item.allocated,
        error=NothingToShip,
    )


def _remaining(item: OrderItem) -> dict[str, object]:
    return {
        "order_item_id": str(item.id),
        "left": item.allocated,
        "waiting": item.quantity_waiting,
    }


def _places(
    item: OrderItem, quantity: int, reserved: Mapping[tuple[UUID, UUID], int]
) -> dict[tuple[UUID, UUID], int]:
    """Where `quantity` of the item is taken from what is reserved by product and location.

    Raises ValueError if less is reserved: the ledger would no longer match the order.
    """
    places = {}
    for (product_id, location_id), held in sorted(reserved.items()):
        if product_id == item.product_id and quantity:
            places[product_id, location_id] = min(held, quantity)
            quantity -= places[product_id, location_id]
    if quantity:
        raise ValueError(f"{quantity} units of {item.product_id} are not reserved for the order.")
    return places


@transaction_required
def deliver_locked(order: Order, *, actor: Actor, at: datetime, reason: str) -> None:
    """Mark all shipments of a shipped order, which the caller has locked, as delivered."""
    Shipment.objects.filter(order=order, status=ShipmentStatus.SHIPPED).update(
        status=ShipmentStatus.DELIVERED, delivered_at=at
    )
    # Before the transition, which checks that the order can be delivered, and saves it.
    order.fulfilment_status = FulfilmentState.DELIVERED
    transition_order(order, OrderStatus.DELIVERED, actor=actor, at=at, reason=reason)
