"""Refunds by staff, with or without restocking the returned items."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from inventory.operations.stock import Cause, open_stock_allocator
from inventory.queries import shipped_quantities_of
from oms.core import clock
from oms.core.actor import Actor
from oms.core.errors import NotFound
from oms.core.permissions import Permission
from oms.db.transactions import transaction
from oms.events.publishing import publish
from orders.events import ItemsReturned
from orders.locks import check_version, items_of, lock_orders
from orders.models import Order, OrderItem
from payments.operations.refunds import request_refund
from payments.queries import Requested, order_of_payment


@transaction
def refund_payment(
    *,
    actor: Actor,
    payment_id: UUID,
    amount: Decimal | None = None,
    reason: str = "",
    restock: bool = False,
    expected_version: int | None = None,
) -> Requested:
    """Refund `amount` of a payment, by default the remaining amount.

    With `restock` all shipped and not yet returned items of the order return to stock, for any
    amount: a shop may retain part of the payment. The order's version is raised at once. Raises
    PermissionDenied, NotFound, StaleVersion, RefundExceedsCaptured, and Invalid for an amount with
    more decimals than its currency has.
    """
    actor.require(Permission.PAYMENTS_VIEW, Permission.PAYMENTS_REFUND)
    order_id = order_of_payment(payment_id)
    # Payments of deleted orders can be refunded too.
    order = lock_orders([order_id]).get(order_id) if order_id else None
    if order is None:
        raise NotFound
    check_version(order, expected_version)
    now = clock.now()
    refund = request_refund(actor=actor, payment_id=payment_id, amount=amount, reason=reason)
    order.touch(at=now)
    order.save(update_fields=["version", "updated_at"])
    if restock:
        _restock(order, refund=refund, actor=actor, at=now)
    return refund


def _restock(order: Order, *, refund: Requested, actor: Actor, at: datetime) -> None:
    quantities = shipped_quantities_of([order.id])[order.id]
    if not quantities:
        return
    items = items_of([order.id])[order.id]
    for item in items:
        item.quantity_returned = item.quantity_shipped
    OrderItem.objects.bulk_update(items, ["quantity_returned"])
    stock = open_stock_allocator(product_id for product_id, _ in quantities)
    cause = Cause(actor=actor, reference=f"refund:{refund.id}", order_id=order.id)
    stock.return_units(quantities, cause=cause)
    stock.save(at=at)
    publish(
        ItemsReturned(
            order_id=order.id,
            number=order.number,
            customer_id=order.customer_id,
            pieces=sum(quantities.values()),
        ),
        actor=actor,
        at=at,
    )
