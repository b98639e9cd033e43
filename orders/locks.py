"""The only place that locks the rows of orders, always sorted and in one statement."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from oms.core.actor import Actor
from oms.core.errors import NotFound, StaleVersion
from oms.db.transactions import transaction_required
from orders.models import Order, OrderItem
from orders.states import OrderStatus, PaymentState


@transaction_required
def lock_order(order_id: UUID, *, actor: Actor, expected_version: int | None = None) -> Order:
    """The order, locked.

    Raises NotFound if there is none, it is deleted, or it is not the actor's to see, and
    StaleVersion if its version is not `expected_version`.
    """
    order = (
        Order.objects.select_for_update(no_key=True).filter(pk=order_id, deleted_at=None).first()
    )
    if order is None or not actor.may_see_of(order.customer_id):
        raise NotFound
    if expected_version is not None and order.version != expected_version:
        raise StaleVersion
    return order


@transaction_required
def lock_orders(order_ids: Iterable[UUID]) -> dict[UUID, Order]:
    """The orders by their ids, locked in the order of the ids, deleted ones too."""
    orders = Order.objects.select_for_update(no_key=True).filter(pk__in=set(order_ids))
    return {order.id: order for order in orders.order_by("id")}


@transaction_required
def lock_expired_orders(*, at: datetime, paying_since: datetime, limit: int) -> Sequence[Order]:
    """At most `limit` pending orders whose time is up, locked; those locked by others are left out.

    Of an order whose payment is under way the time is up when it was so at `paying_since` already.
    """
    waiting = (PaymentState.UNPAID, PaymentState.FAILED)
    rows = Order.objects.select_for_update(no_key=True, skip_locked=True).filter(
        status=OrderStatus.PENDING
    )
    expired = rows.filter(expires_at__lte=at, payment_status__in=waiting) | rows.filter(
        expires_at__lte=paying_since
    )
    return list(expired.order_by("id")[:limit])


def items_of(order_ids: Iterable[UUID]) -> dict[UUID, list[OrderItem]]:
    """The items of each of the orders, which their orders' locks protect."""
    items: dict[UUID, list[OrderItem]] = {id: [] for id in order_ids}
    for item in OrderItem.objects.filter(order_id__in=items).order_by("position"):
        items[item.order_id].append(item)
    return items
