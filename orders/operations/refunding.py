"""Refunds that staff give, and goods that come back with them."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import UUID

from inventory.operations.stock import Cause, open_stock_allocator
from inventory.queries import shipped_quantities_of
from oms.core import clock
from oms.core.actor import Actor
from oms.core.errors import NotFound
from oms.db.transactions import transaction
from oms.events.publishing import publish
from orders.events import ItemsReturned
from orders.locks import items_of, lock_orders
from orders.models import Order, OrderItem
from payments.operations.refunds import request_refund
from payments.queries import order_of_payment

if TYPE_CHECKING:
    from payments.models import Refund


@transaction
def refund_payment(
    *,
    actor: Actor,
    payment_id: UUID,
    amount: Decimal | None = None,
    reason: str = "",
    restock: bool = False,
) -> Refund:
    """Give money of a payment back, by default all that is left of it.

    With `restock` all that was shipped of the order and has not come back yet is put on the shelf
    again, whatever the amount: a shop may keep a part of the money. Raises NotFound and
    RefundExceedsCaptured.
    """
    order_id = order_of_payment(payment_id)
    # The money of a deleted order can be given back too.
    order = lock_orders([order_id]).get(order_id) if order_id else None
    if order is None or not actor.may_see_of(order.customer_id):
        raise NotFound
    refund = request_refund(actor=actor, payment_id=payment_id, amount=amount, reason=reason)
    if restock:
        _put_back(order, refund=refund, actor=actor, at=clock.now())
    return refund


def _put_back(order: Order, *, refund: Refund, actor: Actor, at: datetime) -> None:
    pieces = shipped_quantities_of([order.id])[order.id]
    if not pieces:
        return
    items = items_of([order.id])[order.id]
    for item in items:
        item.quantity_returned = item.quantity_shipped
    OrderItem.objects.bulk_update(items, ["quantity_returned"])
    order.touch(at=at)
    order.save(update_fields=["version", "updated_at"])
    book = open_stock_allocator(product_id for product_id, _ in pieces)
    cause = Cause(actor=actor, reference=f"refund:{refund.id}", order_id=order.id)
    book.return_units(pieces, cause=cause)
    book.save(at=at)
    publish(
        ItemsReturned(
            order_id=order.id,
            number=order.number,
            customer_id=order.customer_id,
            pieces=sum(pieces.values()),
        ),
        actor=actor,
        at=at,
    )
