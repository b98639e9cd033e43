"""Parcels leaving the house and arriving."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from inventory.operations.stock import Cause, open_stock_allocator
from inventory.queries import reserved_quantities_of
from oms.core import clock
from oms.core.actor import Actor
from oms.core.errors import InputError, Invalid
from oms.db.transactions import transaction, transaction_required
from oms.events.publishing import publish
from orders.errors import NothingToShip, OrderNotShippable
from orders.events import ShipmentSent
from orders.locks import items_of, lock_order
from orders.models import Order, OrderItem, Shipment, ShipmentItem
from orders.operations.transitions import allocate, transition_order
from orders.states import FulfilmentState, OrderStatus, ShipmentStatus
from payments.operations.refunds import request_capture_for_order


@dataclass(frozen=True, kw_only=True)
class ShippedItem:
    """That many pieces of an order item."""

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
    """Send a parcel with those items, by default with all that is left; their stock leaves.

    A confirmed order goes into processing first; one of which nothing is left becomes shipped.
    Raises NotFound, StaleVersion, OrderNotShippable, Invalid for an item that is not the order's,
    and NothingToShip.
    """
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
    """Send a parcel of an order that the caller has locked and found shippable."""
    own = items_of([order.id])[order.id]
    parcel = _parcel(own, items)
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
        for item, quantity in parcel.items()
    )
    for item, quantity in parcel.items():
        item.quantity_shipped += quantity
    OrderItem.objects.bulk_update(parcel.keys(), ["quantity_shipped"])
    order.update_fulfilment_status(own)
    if order.fulfilment_status == FulfilmentState.SHIPPED:
        transition_order(order, OrderStatus.SHIPPED, actor=actor, at=at, reason=reason)
    else:
        order.touch(at=at)
        order.save(update_fields=["fulfilment_status", "version", "updated_at"])
    request_capture_for_order(actor=actor, order_id=order.id)
    _take_from_stock(shipment, parcel, actor=actor, at=at)
    publish(
        ShipmentSent(
            order_id=order.id,
            number=order.number,
            customer_id=order.customer_id,
            shipment_id=shipment.id,
            carrier=carrier,
            tracking_number=tracking_number,
            is_complete=order.fulfilment_status == FulfilmentState.SHIPPED,
            pieces=sum(parcel.values()),
        ),
        actor=actor,
        at=at,
    )
    return shipment


def _parcel(own: Sequence[OrderItem], items: Sequence[ShippedItem] | None) -> dict[OrderItem, int]:
    """Pieces by order item; every one that cannot be shipped is named."""
    if items is None:
        parcel = {item: item.left_to_ship for item in own if item.left_to_ship}
        if not parcel:
            raise NothingToShip
        return parcel
    by_id = {item.id: item for item in own}
    unknown = [
        InputError(
            pointer=f"/items/{line}/order_item_id",
            code="not_found",
            detail="The order has no such item.",
        )
        for line, asked in enumerate(items)
        if asked.order_item_id not in by_id
    ]
    if unknown:
        raise Invalid(unknown)
    parcel = {}
    for asked in items:
        item = by_id[asked.order_item_id]
        parcel[item] = parcel.get(item, 0) + asked.quantity
    too_many = [
        {"order_item_id": str(item.id), "requested": quantity, "left": item.left_to_ship}
        for item, quantity in parcel.items()
        if quantity > item.left_to_ship
    ]
    if too_many:
        raise NothingToShip(items=too_many)
    return parcel


def _take_from_stock(
    shipment: Shipment, parcel: Mapping[OrderItem, int], *, actor: Actor, at: datetime
) -> None:
    reserved = reserved_quantities_of([shipment.order_id])[shipment.order_id]
    book = open_stock_allocator(item.product_id for item in parcel)
    pieces: dict[tuple[UUID, UUID], int] = {}
    for item, quantity in parcel.items():
        pieces |= allocate(reserved, product_id=item.product_id, quantity=quantity)
    lacking = book.lacking(pieces)
    if lacking:
        raise NothingToShip("Backordered pieces have not arrived yet.", items=lacking)
    cause = Cause(actor=actor, reference=f"shipment:{shipment.id}", order_id=shipment.order_id)
    book.ship(pieces, cause=cause)
    book.save(at=at)


@transaction_required
def deliver_locked(order: Order, *, actor: Actor, at: datetime, reason: str) -> None:
    """Note that all parcels of a shipped order, which the caller has locked, have arrived."""
    Shipment.objects.filter(order=order, status=ShipmentStatus.SHIPPED).update(
        status=ShipmentStatus.DELIVERED, delivered_at=at
    )
    # Set before the move, which checks that the order may be delivered and saves it.
    order.fulfilment_status = FulfilmentState.DELIVERED
    transition_order(order, OrderStatus.DELIVERED, actor=actor, at=at, reason=reason)
