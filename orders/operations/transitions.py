"""Status transitions of orders, used by the other operations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from uuid import UUID

from inventory.operations.stock import Cause, open_stock_allocator
from inventory.queries import reserved_quantities_of
from oms.core.actor import Actor
from oms.db.bulk_writes import update_rows
from oms.db.transactions import transaction_required
from oms.events.publishing import publish
from orders.events import (
    OrderCancelled,
    OrderConfirmed,
    OrderDelivered,
    OrderExpired,
    OrderProcessingStarted,
    OrderPutOnHold,
    OrderShipped,
    OrderStatusChanged,
)
from orders.models import Order
from orders.rows import OrderRow
from orders.states import OrderStatus

# The event of each transition.
STATUS_EVENTS: Mapping[OrderStatus, type[OrderStatusChanged]] = {
    OrderStatus.CONFIRMED: OrderConfirmed,
    OrderStatus.PROCESSING: OrderProcessingStarted,
    OrderStatus.ON_HOLD: OrderPutOnHold,
    OrderStatus.SHIPPED: OrderShipped,
    OrderStatus.DELIVERED: OrderDelivered,
    OrderStatus.CANCELLED: OrderCancelled,
    OrderStatus.EXPIRED: OrderExpired,
}

# The columns that transitions and payment events change.
_COLUMNS = (
    "id",
    "status",
    "payment_status",
    "expires_at",
    "confirmed_at",
    "cancelled_at",
    "updated_at",
    "version",
)
_values = attrgetter(*_COLUMNS)


def apply_transition(
    order: Order, status: OrderStatus, *, at: datetime, reason: str = ""
) -> OrderStatusChanged:
    """Change the status of the locked order, and return the event.

    The caller saves the order and publishes the event. Raises InvalidTransition.
    """
    previous = order.transition_to(status, at=at)
    return STATUS_EVENTS[status](
        order_id=order.id,
        number=order.number,
        customer_id=order.customer_id,
        previous_status=previous,
        status=status.value,
        reason=reason,
    )


@transaction_required
def transition_order(
    order: Order, status: OrderStatus, *, actor: Actor, at: datetime, reason: str = ""
) -> None:
    """Change the status of the locked order, save it, publish it. Raises InvalidTransition."""
    event = apply_transition(order, status, at=at, reason=reason)
    order.save()
    publish(event, actor=actor, at=at)


@transaction_required
def save_transitions(orders: Iterable[Order]) -> None:
    """Save transitions and payment statuses of the locked orders, in one statement."""
    update_rows(Order, _COLUMNS, map(_values, orders))


@transaction_required
def release_reserved(orders: Sequence[Order], *, actor: Actor, at: datetime) -> None:
    """Release all stock reserved for the locked orders."""
    reserved = reserved_quantities_of(order.id for order in orders)
    allocator = open_stock_allocator(
        {product for of_order in reserved.values() for product, _ in of_order}
    )
    for order in orders:
        cause = Cause(actor=actor, reference=stock_reference(order), order_id=order.id)
        allocator.release(reserved[order.id], cause=cause)
    allocator.save(at=at)


@transaction_required
def release_quantities(
    order: Order, quantities: Mapping[UUID, int], *, actor: Actor, at: datetime
) -> None:
    """Release those quantities, by product, of the stock reserved for the locked order."""
    allocator = open_stock_allocator(quantities)
    reserved = reserved_quantities_of([order.id])[order.id]
    released: dict[tuple[UUID, UUID], int] = {}
    for product_id, quantity in quantities.items():
        released |= allocate(reserved, product_id=product_id, quantity=quantity)
    cause = Cause(actor=actor, reference=stock_reference(order), order_id=order.id)
    allocator.release(released, cause=cause)
    allocator.save(at=at)


def allocate(
    reserved: Mapping[tuple[UUID, UUID], int], *, product_id: UUID, quantity: int
) -> dict[tuple[UUID, UUID], int]:
    """Take `quantity` units of one product from those `reserved` by product and location.

    Raises ValueError if fewer are reserved: the ledger would no longer match the order.
    """
    allocated = {}
    for (product, location), available in sorted(reserved.items()):
        if product == product_id and quantity:
            allocated[product, location] = min(available, quantity)
            quantity -= allocated[product, location]
    if quantity:
        raise ValueError(f"{quantity} units of {product_id} are not reserved for the order.")
    return allocated


def stock_reference(order: Order | OrderRow) -> str:
    """The reference of stock movements caused by the order's present version."""
    return f"order:{order.id}:v{order.version}"
