"""Shipments after they were sent: corrections, and deliveries; and shipping many orders."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction as django_transaction

from inventory.locks import lock_stock_levels
from oms.core import clock
from oms.core.actor import Actor
from oms.core.deadline import within_deadline
from oms.core.errors import InputError, Invalid, OperationError
from oms.core.permissions import Permission
from oms.db.transactions import in_transaction, transaction
from oms.events.publishing import publish
from orders.events import ShipmentCorrected, ShipmentDelivered
from orders.locks import items_of, lock_orders, lock_shipment
from orders.models import Order, Shipment
from orders.operations.fulfilling import ship_items
from orders.operations.transitions import save_new_version, transition_order
from orders.states import FulfilmentState, OrderStatus, ShipmentStatus
from payments.locks import lock_payments_of_orders


@dataclass(frozen=True, kw_only=True)
class OrderShipment:
    """A shipment of everything that is left of an order."""

    order_number: str
    carrier: str = ""
    tracking_number: str = ""


@transaction
def correct_shipment(
    *,
    actor: Actor,
    shipment_id: UUID,
    carrier: str | None = None,
    tracking_number: str | None = None,
    expected_version: int | None = None,
) -> Shipment:
    """Correct the carrier and the tracking number; None leaves a value unchanged.

    The customer is notified. Raises PermissionDenied, NotFound and StaleVersion.
    """
    actor.require(Permission.ORDERS_VIEW, Permission.ORDERS_SHIP)
    order, shipment = lock_shipment(shipment_id, actor=actor, expected_version=expected_version)
    changes: dict[str, list[Any]] = {}
    for name, value in (("carrier", carrier), ("tracking_number", tracking_number)):
        before = getattr(shipment, name)
        if value is not None and value != before:
            changes[name] = [before, value]
            setattr(shipment, name, value)
    if not changes:
        return shipment
    now = clock.now()
    shipment.save(update_fields=list(changes))
    save_new_version(order, at=now)
    publish(
        ShipmentCorrected(
            order_id=order.id,
            number=order.number,
            customer_id=order.customer_id,
            shipment_id=shipment.id,
            carrier=shipment.carrier,
            tracking_number=shipment.tracking_number,
            changes=changes,
        ),
        actor=actor,
        at=now,
    )
    return shipment


@transaction
def deliver_shipment(
    *, actor: Actor, shipment_id: UUID, expected_version: int | None = None
) -> Shipment:
    """Mark a shipment as delivered; one that is delivered stays as it is.

    An order with nothing left to ship is delivered when all its shipments are. Raises
    PermissionDenied, NotFound and StaleVersion.
    """
    actor.require(Permission.ORDERS_VIEW, Permission.ORDERS_SHIP)
    order, shipment = lock_shipment(shipment_id, actor=actor, expected_version=expected_version)
    if shipment.status == ShipmentStatus.DELIVERED:
        return shipment
    now = clock.now()
    shipment.status, shipment.delivered_at = ShipmentStatus.DELIVERED, now
    shipment.save(update_fields=["status", "delivered_at"])
    publish(
        ShipmentDelivered(
            order_id=order.id,
            number=order.number,
            customer_id=order.customer_id,
            shipment_id=shipment.id,
        ),
        actor=actor,
        at=now,
    )
    others = Shipment.objects.filter(order=order, status=ShipmentStatus.SHIPPED)
    if order.status == OrderStatus.SHIPPED and not others.exists():
        order.fulfilment_status = FulfilmentState.DELIVERED
        transition_order(order, OrderStatus.DELIVERED, actor=actor, at=now)
    else:
        save_new_version(order, at=now)
    return shipment


def ship_orders(
    *, actor: Actor, shipments: Sequence[OrderShipment]
) -> list[Shipment | OperationError]:
    """Ship everything that is left of each order; the shipment of each, or why it was refused.

    Each in a transaction of its own, so that nobody waits for all of them; inside of a transaction
    all of them together. A refused one changes nothing and does not affect the others. Raises
    PermissionDenied.
    """
    actor.require(Permission.ORDERS_VIEW, Permission.ORDERS_SHIP)
    numbers = {each.order_number.upper() for each in shipments}
    found = Order.objects.filter(number__in=numbers, deleted_at=None)
    ids = dict(found.values_list("number", "pk"))
    if in_transaction():
        _lock_all(ids.values())
    return [_ship(each, ids.get(each.order_number.upper()), actor=actor) for each in shipments]


def _lock_all(order_ids: Iterable[UUID]) -> None:
    """All locks come first, each kind in one sorted statement: see docs/architecture.md."""
    orders = lock_orders(order_ids)
    lock_payments_of_orders(orders)
    items = items_of(orders)
    lock_stock_levels(item.product_id for of_order in items.values() for item in of_order)


def _ship(
    requested: OrderShipment, order_id: UUID | None, *, actor: Actor
) -> Shipment | OperationError:
    if order_id is None:
        detail = "There is no such order."
        return Invalid([InputError(pointer="/order_number", code="not_found", detail=detail)])
    try:
        within_deadline(1)
        with django_transaction.atomic() if in_transaction() else nullcontext():
            return ship_items(
                actor=actor,
                order_id=order_id,
                carrier=requested.carrier,
                tracking_number=requested.tracking_number,
            )
    except OperationError as error:
        return error
