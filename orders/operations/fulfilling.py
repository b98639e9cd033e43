"""Shipping and delivering orders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from inventory.operations.stock import Cause, open_stock_allocator
from inventory.queries import reserved_quantities_of
from oms.core import clock
from oms.core.actor import Actor
from oms.core.permissions import Permission
from oms.db.transactions import transaction, transaction_required
from oms.events.publishing import publish
from orders.errors import NothingToShip, OrderNotShippable
from orders.events import ShipmentSent
from orders.locks import items_of, lock_order
from orders.models import Order, OrderItem, Shipment, ShipmentItem
from orders.operations.quantities import quantities_by_item
from orders.operations.transitions import allocate, transition_order
from orders.states import FulfilmentState, OrderStatus, ShipmentStatus
from payments.operations.refunds import request_capture_for_order


@dataclass(frozen=True, kw_only=True)
class ShippedItem:
    """The quantity of an order item in a shipment."""

    order_item_id: UUID
    quantity: int


@transaction
def ship_items(
    *,
    actor: Actor,
    order_id: UUID,
    items: Sequence[ShippedItem] | None = None,
    carrier: str = "",
    tracking_number: str = "",
    reason: str = "",
    expected_version: int | None = None,
) -> Shipment:
    """Ship `items`, by default everything not shipped yet; their stock leaves the locations.

    A confirmed order starts processing first; a completely shipped order becomes shipped. Raises
    PermissionDenied, NotFound, StaleVersion, OrderNotShippable, NothingToShip, and Invalid for
    unknown items.
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
    items: Sequence[ShippedItem] | None,
    carrier: str,
    tracking_number: str,
    reason: str,
    at: datetime,
) -> Shipment:
    """Ship items of an order that the caller has locked and found shippable."""
    own = items_of([order.id])[order.id]
    quantities = _shipment_quantities(own, items)
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
    OrderItem.objects.bulk_update(quantities.keys(), ["quantity_shipped"])
    order.update_fulfilment_status(own)
    if order.fulfilment_status == FulfilmentState.SHIPPED:
        transition_order(order, OrderStatus.SHIPPED, actor=actor, at=at, reason=reason)
    else:
        order.touch(at=at)
        order.save(update_fields=["fulfilment_status", "version", "updated_at"])
    request_capture_for_order(actor=actor, order_id=order.id)
    _ship_stock(shipment, quantities, actor=actor, at=at)
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
    own: Sequence[OrderItem], items: Sequence[ShippedItem] | None
) -> dict[OrderItem, int]:
    """Quantities by order item. Reports all items that cannot be shipped."""
    if items is None:
        remaining = {item: item.left_to_ship for item in own if item.left_to_ship}
        if not remaining:
            raise NothingToShip
        return remaining
    return quantities_by_item(
        own,
        ((item.order_item_id, item.quantity) for item in items),
        left=lambda item: item.left_to_ship,
        error=NothingToShip,
    )


def _ship_stock(
    shipment: Shipment, quantities: Mapping[OrderItem, int], *, actor: Actor, at: datetime
) -> None:
    reserved = reserved_quantities_of([shipment.order_id])[shipment.order_id]
    allocator = open_stock_allocator(item.product_id for item in quantities)
    allocated: dict[tuple[UUID, UUID], int] = {}
    for item, quantity in quantities.items():
        allocated |= allocate(reserved, product_id=item.product_id, quantity=quantity)
    lacking = allocator.lacking(allocated)
    if lacking:
        raise NothingToShip("Backordered items are not in stock yet.", items=lacking)
    cause = Cause(actor=actor, reference=f"shipment:{shipment.id}", order_id=shipment.order_id)
    allocator.ship(allocated, cause=cause)
    allocator.save(at=at)


@transaction_required
def deliver_locked(order: Order, *, actor: Actor, at: datetime, reason: str) -> None:
    """Mark all shipments of a shipped order, which the caller has locked, as delivered."""
    Shipment.objects.filter(order=order, status=ShipmentStatus.SHIPPED).update(
        status=ShipmentStatus.DELIVERED, delivered_at=at
    )
    # Before the transition, which checks that the order can be delivered, and saves it.
    order.fulfilment_status = FulfilmentState.DELIVERED
    transition_order(order, OrderStatus.DELIVERED, actor=actor, at=at, reason=reason)
