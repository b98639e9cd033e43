"""Status transitions of orders, used by the other operations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from operator import attrgetter

from django.db.models import Q

from inventory.holdings import holdings_of
from inventory.operations.stock import Cause, open_allocator_of_orders, open_stock_allocator
from oms.core.actor import Actor
from oms.db.bulk_writes import update_rows
from oms.db.transactions import transaction_required
from oms.events.publishing import publish
from oms.exceptions.kinds import ExceptionKind
from oms.exceptions.operations.recording import settle_exceptions
from orders.events import (
    OrderAwaitingPayment,
    OrderCancelled,
    OrderConfirmed,
    OrderDelivered,
    OrderExpired,
    OrderProcessingStarted,
    OrderPutOnHold,
    OrderShipped,
    OrderStatusChanged,
)
from orders.models import Order, OrderItem
from orders.operations.waiting import learn_waiting, settle_lost_stock
from orders.rows import OrderRow
from orders.states import OrderStatus

# The event of each transition.
STATUS_EVENTS: Mapping[OrderStatus, type[OrderStatusChanged]] = {
    OrderStatus.PENDING: OrderAwaitingPayment,
    OrderStatus.CONFIRMED: OrderConfirmed,
    OrderStatus.PROCESSING: OrderProcessingStarted,
    OrderStatus.ON_HOLD: OrderPutOnHold,
    OrderStatus.SHIPPED: OrderShipped,
    OrderStatus.DELIVERED: OrderDelivered,
    OrderStatus.CANCELLED: OrderCancelled,
    OrderStatus.EXPIRED: OrderExpired,
}

# What was refunded elsewhere is not to be shipped any more.
_MENDED_BY_CANCELLING = (ExceptionKind.REFUND_AT_PROVIDER,)

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
    if status is OrderStatus.CANCELLED:
        settle_exceptions(_MENDED_BY_CANCELLING, about=Q(order_id=order.id), actor=actor)


@transaction_required
def save_new_version(order: Order, *, at: datetime) -> None:
    """Give the locked order a new version, because something that belongs to it has changed."""
    order.touch(at=at)
    order.save(update_fields=["version", "updated_at"])


@transaction_required
def save_transitions(orders: Iterable[Order]) -> None:
    """Save transitions and payment statuses of the locked orders, in one statement."""
    update_rows(Order, _COLUMNS, map(_values, orders))


@transaction_required
def release_reserved(orders: Sequence[Order], *, actor: Actor, at: datetime) -> None:
    """Release all stock reserved for the locked orders, and let them wait for nothing."""
    ids = [order.id for order in orders]
    allocator = open_allocator_of_orders(ids)
    holdings = holdings_of(ids)
    for order in orders:
        cause = Cause(actor=actor, reference=stock_reference(order), order_id=order.id)
        allocator.release_all(holdings[order.id], cause=cause)
    allocator.save(at=at)
    if waited := [id for id in ids if holdings[id].waiting]:
        OrderItem.objects.filter(order_id__in=waited).update(quantity_waiting=0)
        settle_lost_stock(waited, actor=actor)


@transaction_required
def release_quantities(
    order: Order, quantities: Mapping[OrderItem, int], *, actor: Actor, at: datetime
) -> None:
    """Take quantities of its items off what the locked order holds, first of what waits.

    Sets `quantity_waiting` of the items, which the caller saves.
    """
    allocator = open_stock_allocator(item.product_id for item in quantities)
    holdings = holdings_of([order.id])[order.id]
    waited = bool(holdings.waiting)
    cause = Cause(actor=actor, reference=stock_reference(order), order_id=order.id)
    for item, quantity in quantities.items():
        allocator.release_part(holdings, product_id=item.product_id, quantity=quantity, cause=cause)
        item.quantity_waiting -= min(quantity, item.quantity_waiting)
    learn_waiting({order: list(quantities)}, {order.id: holdings}, at=at)
    allocator.save(at=at)
    if waited and not any(row.quantity for row in holdings.waiting):
        settle_lost_stock([order.id], actor=actor)


def stock_reference(order: Order | OrderRow) -> str:
    """The reference of stock movements caused by the order's present version."""
    return f"order:{order.id}:v{order.version}"
