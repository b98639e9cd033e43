"""Cancelling quantities of an order: units that will not be shipped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from oms.core import clock
from oms.core.actor import Actor
from oms.core.dry_runs import current_dry_run
from oms.core.money import ZERO, rounded
from oms.core.permissions import Permission
from oms.db.transactions import transaction, transaction_required
from oms.events.publishing import publish
from orders.errors import NothingToCancel
from orders.events import ItemsCancelled
from orders.locks import items_of, lock_order
from orders.models import Cancellation, CancellationItem, Order, OrderItem, Shipment
from orders.operations.payment_exceptions import settle_balanced
from orders.operations.quantities import ItemQuantity, price_of, quantities_by_item
from orders.operations.refunding_cancelled import refund_price
from orders.operations.transitions import release_quantities, transition_order
from orders.payment_status import payment_state_of
from orders.states import FulfilmentState, OrderStatus, PaymentState, ShipmentStatus
from payments.operations.refunds import refund_or_void
from payments.queries import PaymentTotals, Requested, totals_of_orders

_UNPAID = (PaymentState.UNPAID, PaymentState.FAILED)


@transaction
def cancel_items(
    *,
    actor: Actor,
    order_id: UUID,
    items: Sequence[ItemQuantity],
    reason: str = "",
    expected_version: int | None = None,
) -> tuple[Cancellation, Order]:
    """Cancel quantities that are not shipped: their stock is released, their price refunded.

    The order's total shrinks. With nothing left to ship it is cancelled, or shipped or delivered if
    something has left. Raises PermissionDenied, NotFound, StaleVersion, Invalid for unknown items,
    and NothingToCancel naming the lines of which fewer are left.
    """
    actor.require(Permission.ORDERS_VIEW, Permission.ORDERS_CANCEL)
    order = lock_order(order_id, actor=actor, expected_version=expected_version)
    if not order.holds_stock:
        raise NothingToCancel(current_status=order.status)
    own = items_of([order.id])[order.id]
    quantities = quantities_by_item(
        own,
        ((item.order_item_id, item.quantity) for item in items),
        left=lambda item: item.left_to_ship,
        error=NothingToCancel,
    )
    now = clock.now()
    order.touch(at=now)
    cancellation = cancel_quantities(
        order, own, quantities, actor=actor, at=now, reason=reason, refunds=None
    )
    return cancellation, order


@transaction_required
def cancel_quantities(
    order: Order,
    own: Sequence[OrderItem],
    quantities: Mapping[OrderItem, int],
    *,
    actor: Actor,
    at: datetime,
    reason: str,
    refunds: Sequence[Requested] | None,
) -> Cancellation:
    """Cancel quantities of a locked order, all of whose items are `own`, and save it.

    `refunds` are those of their price; without any, what was paid of it is refunded. The caller has
    given the order its new version.
    """
    amount = price_of(quantities, order.currency)
    for item, quantity in quantities.items():
        item.quantity_cancelled += quantity
        sold = item.quantity - item.quantity_cancelled
        item.line_total = rounded(item.unit_price * sold, order.currency)
    order.total -= amount
    if (run := current_dry_run()) is not None:
        run.change_total(-amount, order.currency)
    if refunds is None:
        refunds = refund_price(order, amount, actor=actor, at=at, reason=reason)
    if order.payment_status != PaymentState.PAID:
        _update_balance(order, is_refunding=bool(refunds), actor=actor)
    cancellation = Cancellation.objects.create(
        order=order,
        amount=amount,
        currency=order.currency,
        reason=reason,
        refund_id=refunds[0].id if refunds else None,
        created_at=at,
    )
    CancellationItem.objects.bulk_create(
        CancellationItem(cancellation=cancellation, order_item=item, quantity=quantity)
        for item, quantity in quantities.items()
    )
    nothing_left = all(item.left_to_ship == 0 for item in own)
    cancels_order = nothing_left and not order.has_shipped_anything
    publish(
        ItemsCancelled(
            order_id=order.id,
            number=order.number,
            customer_id=order.customer_id,
            cancellation_id=cancellation.id,
            pieces=sum(quantities.values()),
            amount=amount,
            refunded=rounded(
                min(sum((one.amount for one in refunds), ZERO), amount), order.currency
            ),
            currency=order.currency,
            reason=reason,
            cancels_order=cancels_order,
        ),
        actor=actor,
        at=at,
    )
    if not order.total and not cancels_order and order.payment_status in _UNPAID:
        # It goes on with items that cost nothing, and waits for no payment any more.
        order.payment_status = PaymentState.PAID
    is_settled = order.payment_status == PaymentState.PAID or (
        order.payment_status == PaymentState.REFUNDED and not order.is_fully_refunded
    )
    if nothing_left:
        _complete(order, actor=actor, at=at, reason=reason)
    elif not order.total and order.status == OrderStatus.PENDING and is_settled:
        transition_order(order, OrderStatus.CONFIRMED, actor=actor, at=at, reason="nothing to pay")
    else:
        order.save(update_fields=["total", "payment_status", "version", "updated_at"])
    # Stock is locked last: see docs/architecture.md.
    release_quantities(order, quantities, actor=actor, at=at)
    OrderItem.objects.bulk_update(
        quantities, ["quantity_cancelled", "quantity_waiting", "line_total"]
    )
    return cancellation


def _update_balance(order: Order, *, is_refunding: bool, actor: Actor) -> None:
    """Less is sold now, for which what was captured may be enough.

    Without a refund no event of a payment follows, which would settle what is right now.
    """
    totals = totals_of_orders([order.id]).get((order.id, order.currency), PaymentTotals())
    if not totals.captured:
        return
    order.payment_status = payment_state_of(order, totals)
    if totals.kept == order.total and not is_refunding:
        settle_balanced(order.id, actor=actor)


def _complete(order: Order, *, actor: Actor, at: datetime, reason: str) -> None:
    """The order has nothing left to ship: it ends by what has left."""
    if not order.has_shipped_anything:
        transition_order(order, OrderStatus.CANCELLED, actor=actor, at=at, reason=reason)
        refund_or_void(
            actor=actor, order_id=order.id, reason=reason or "The order was cancelled.", at=at
        )
        return
    said = "the rest was cancelled"
    if order.status != OrderStatus.PROCESSING:
        transition_order(order, OrderStatus.PROCESSING, actor=actor, at=at, reason=said)
    order.fulfilment_status = FulfilmentState.SHIPPED
    transition_order(order, OrderStatus.SHIPPED, actor=actor, at=at, reason=said)
    if not Shipment.objects.filter(order=order).exclude(status=ShipmentStatus.DELIVERED).exists():
        order.fulfilment_status = FulfilmentState.DELIVERED
        transition_order(order, OrderStatus.DELIVERED, actor=actor, at=at, reason=said)


@transaction_required
def cancel_rest(
    order: Order, *, actor: Actor, at: datetime, reason: str, refunds: Sequence[Requested]
) -> bool:
    """Cancel all that is not shipped of a locked order whose payments are fully refunded.

    Returns whether there was anything; then the order is saved.
    """
    if not order.holds_stock:
        return False
    own = items_of([order.id])[order.id]
    rest = {item: item.left_to_ship for item in own if item.left_to_ship}
    cancel_quantities(order, own, rest, actor=actor, at=at, reason=reason, refunds=refunds)
    return True
