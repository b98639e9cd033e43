"""Cancelling, expiring and deleting orders."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings

from oms.core import clock
from oms.core.actor import Actor, system
from oms.core.ids import new_id
from oms.db.transactions import transaction
from oms.events.publishing import publish
from orders.errors import OrderNotDeletable
from orders.events import OrderDeleted
from orders.locks import lock_expired_orders, lock_order
from orders.models import Order
from orders.operations.transitions import move_order, release_reserved
from orders.states import OrderStatus
from payments.operations.refunds import refund_or_void

# How long after its time was up an order still waits for a payment that is under way.
PAYING_GRACE = timedelta(minutes=30)
_EXPIRY_BATCH = 100


@transaction
def cancel_order(
    *, actor: Actor, order_id: UUID, reason: str = "", expected_version: int | None = None
) -> Order:
    """Cancel the order, release its stock, and give back what was paid; once more does nothing.

    Raises NotFound, StaleVersion, and InvalidTransition once anything is shipped.
    """
    order = lock_order(order_id, actor=actor, expected_version=expected_version)
    if order.status == OrderStatus.CANCELLED:
        return order
    cancel_locked(order, actor=actor, at=clock.now(), reason=reason)
    return order


def cancel_locked(order: Order, *, actor: Actor, at: datetime, reason: str) -> None:
    """Cancel an order that the caller has locked. Raises InvalidTransition."""
    held_stock = order.holds_stock
    move_order(order, OrderStatus.CANCELLED, actor=actor, at=at, reason=reason)
    refund_or_void(
        actor=actor, order_id=order.id, reason=reason or "The order was cancelled.", at=at
    )
    if held_stock:
        release_reserved([order], actor=actor, at=at)


@transaction
def expire_orders(*, at: datetime) -> int:
    """Expire a batch of orders that nobody paid in time, and release their stock.

    Returns how many; call it again until it returns 0.
    """
    actor = system("expiry", request_id=f"expiry-{new_id()}")
    orders = lock_expired_orders(at=at, paying_since=at - PAYING_GRACE, limit=_EXPIRY_BATCH)
    minutes = settings.ORDER_EXPIRY.total_seconds() / 60
    for order in orders:
        move_order(
            order,
            OrderStatus.EXPIRED,
            actor=actor,
            at=at,
            reason=f"not paid within {minutes:.0f} minutes",
        )
    release_reserved(orders, actor=actor, at=at)
    return len(orders)


@transaction
def delete_order(*, actor: Actor, order_id: UUID, expected_version: int | None = None) -> None:
    """Take the order out of every list; the ledgers and the log keep it.

    One that is pending and unpaid is cancelled first. Raises NotFound, StaleVersion and
    OrderNotDeletable.
    """
    order = lock_order(order_id, actor=actor, expected_version=expected_version)
    if not order.is_deletable:
        raise OrderNotDeletable(current_status=order.status)
    now = clock.now()
    if order.status == OrderStatus.PENDING:
        cancel_locked(order, actor=actor, at=now, reason="deleted")
    order.deleted_at = now
    order.touch(at=now)
    order.save(update_fields=["deleted_at", "updated_at", "version"])
    publish(
        OrderDeleted(order_id=order.id, number=order.number, customer_id=order.customer_id),
        actor=actor,
        at=now,
    )
