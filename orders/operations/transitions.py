"""One step of an order's status, saved and told to the log; other operations are made of these."""

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
from orders.placements import NewOrder
from orders.states import OrderStatus

# The fact that tells of each step.
STATUS_EVENTS: Mapping[OrderStatus, type[OrderStatusChanged]] = {
    OrderStatus.CONFIRMED: OrderConfirmed,
    OrderStatus.PROCESSING: OrderProcessingStarted,
    OrderStatus.ON_HOLD: OrderPutOnHold,
    OrderStatus.SHIPPED: OrderShipped,
    OrderStatus.DELIVERED: OrderDelivered,
    OrderStatus.CANCELLED: OrderCancelled,
    OrderStatus.EXPIRED: OrderExpired,
}


# What a step of an order, and news of its payment, may change.
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
    """Let the locked order go to `status`, and return the fact that tells of it.

    The caller saves the one and publishes the other. Raises InvalidTransition.
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
    """Let the locked order go to `status`, save it and publish it. Raises InvalidTransition."""
    fact = apply_transition(order, status, at=at, reason=reason)
    order.save()
    publish(fact, actor=actor, at=at)


@transaction_required
def save_transitions(orders: Iterable[Order]) -> None:
    """Save what steps and news of payments changed of the locked orders, in one statement."""
    update_rows(Order, _COLUMNS, map(_values, orders))


@transaction_required
def release_reserved(orders: Sequence[Order], *, actor: Actor, at: datetime) -> None:
    """Give back all stock that is still promised to the locked orders."""
    pieces = reserved_quantities_of(order.id for order in orders)
    book = open_stock_allocator(
        {product for of_order in pieces.values() for product, _ in of_order}
    )
    for order in orders:
        cause = Cause(actor=actor, reference=stock_reference(order), order_id=order.id)
        book.release(pieces[order.id], cause=cause)
    book.save(at=at)


def allocate(
    promised: Mapping[tuple[UUID, UUID], int], *, product_id: UUID, quantity: int
) -> dict[tuple[UUID, UUID], int]:
    """So many of the pieces `promised` by product and location, of one product.

    Raises ValueError if fewer are promised: then the ledger and the order would part ways.
    """
    pieces = {}
    for (product, location), there in sorted(promised.items()):
        if product == product_id and quantity:
            pieces[product, location] = min(there, quantity)
            quantity -= pieces[product, location]
    if quantity:
        raise ValueError(f"{quantity} pieces of {product_id} are not promised to the order.")
    return pieces


def stock_reference(order: Order | NewOrder) -> str:
    """The ledger's reference for what the present version of the order does to the stock."""
    return f"order:{order.id}:v{order.version}"
