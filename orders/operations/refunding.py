"""Refunds by staff: an amount, or items, which may return to the stock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from inventory.locks import lock_stock_levels
from inventory.operations.returning import ReturnedUnits, create_levels_for, return_units
from inventory.operations.stock import Cause
from oms.core import clock
from oms.core.actor import Actor
from oms.core.errors import NotFound
from oms.core.permissions import Permission
from oms.db.transactions import transaction
from oms.events.publishing import publish
from oms.http.headers import PreconditionUnsupported
from orders.errors import NothingToRefund, NothingToReturn, RestockAmbiguous
from orders.events import ItemsReturned
from orders.locks import check_version, items_of, lock_orders
from orders.models import Order, OrderItem, RefundItem
from orders.operations.cancellations import cancel_quantities, cancel_rest
from orders.operations.quantities import (
    check_locations,
    expected_quantities,
    price_of,
    quantities_by_item,
    refunded_quantities,
    refuse_too_many,
    returnable_quantities,
)
from payments.locks import lock_captured_payments
from payments.operations.refunds import refund_exactly, request_refund
from payments.queries import Requested, RequestedRefund, order_of_payment, refund_state


@dataclass(frozen=True, kw_only=True)
class RefundedItem:
    """A quantity of an order item to refund at its price.

    Units that were not shipped come first, and are cancelled. `restock` returns shipped ones to the
    stock at `location`, a code, or to where they came from. With a `location` all are shipped ones.
    """

    order_item_id: UUID
    quantity: int
    restock: bool = False
    location: str = ""


@transaction
def refund_payment(
    *,
    actor: Actor,
    payment_id: UUID,
    amount: Decimal | None = None,
    items: Sequence[RefundedItem] | None = None,
    reason: str = "",
    restock: bool = False,
    expected_version: int | None = None,
) -> Requested:
    """Refund `items`, or `amount` of a payment, by default the remaining amount.

    What the price of the items exceeds of the payment is refunded of the order's other payments;
    the refund returned is the first one.

    Once everything is refunded of an order that was paid, what was not shipped is cancelled.
    `restock` returns all units to the stock, of an order of which everything was shipped and of
    which this refunds the rest; otherwise it raises RestockAmbiguous. Raises PermissionDenied,
    NotFound, StaleVersion, RefundExceedsCaptured, NothingToRefund naming the lines of which fewer
    are left, PreconditionUnsupported for a version of money of no order, and Invalid for unknown
    items and locations, and an amount with more decimals than its currency has.
    """
    actor.require(Permission.PAYMENTS_VIEW, Permission.PAYMENTS_REFUND)
    order_id = order_of_payment(payment_id)
    # Payments of deleted orders can be refunded too, and those that others made for none.
    order = lock_orders([order_id]).get(order_id) if order_id else None
    if order is None:
        if items is not None or restock:
            raise NotFound
        if expected_version is not None:
            raise PreconditionUnsupported
        return request_refund(actor=actor, payment_id=payment_id, amount=amount, reason=reason)
    check_version(order, expected_version)
    now = clock.now()
    order.touch(at=now)
    if items is not None:
        refunds = _refund_items(
            order, items, actor=actor, payment_id=payment_id, reason=reason, at=now
        )
    else:
        # Locks all its payments before any stock: see docs/architecture.md.
        refunds = [
            request_refund(
                actor=actor,
                payment_id=payment_id,
                order_id=order.id,
                amount=amount,
                reason=reason,
            )
        ]
    refund = refunds[0]
    is_last = has_paid = False
    if refund.currency == order.currency and not refund.payment_left:
        state = refund_state(order.id, payment_id=payment_id, currency=order.currency)
        is_last = not state.left
        # Money that never paid the order, such as what somebody charged beside, ends nothing.
        has_paid = not state.is_paying and state.by_shop >= order.total
    if restock:
        if not (is_last and order.has_shipped_everything):
            raise RestockAmbiguous
        _restock_all(order, refund=refund, actor=actor, at=now)
    is_saved = (
        is_last
        and has_paid
        and cancel_rest(order, actor=actor, at=now, reason=reason, refunds=refunds)
    )
    if not is_saved:
        order.save(update_fields=["version", "updated_at"])
    return refund


def _refund_items(
    order: Order,
    items: Sequence[RefundedItem],
    *,
    actor: Actor,
    payment_id: UUID,
    reason: str,
    at: datetime,
) -> Sequence[RequestedRefund]:
    check_locations([item.location for item in items])
    own = items_of([order.id])[order.id]
    refunded, expected = refunded_quantities(own), expected_quantities(order.id)

    def to_ship(item: OrderItem) -> int:
        return item.left_to_ship if order.holds_stock else 0

    def left(item: OrderItem) -> int:
        return to_ship(item) + item.quantity_shipped - refunded.get(item.id, 0)

    quantities = quantities_by_item(
        own,
        ((item.order_item_id, item.quantity) for item in items),
        left=left,
        error=NothingToRefund,
    )
    requested = {item.order_item_id: item for item in items}
    # Units that are said to have come back to a location are shipped ones.
    cancelled = {
        item: min(quantity, 0 if requested[item.id].location else to_ship(item))
        for item, quantity in quantities.items()
    }
    shipped = {item: quantity - cancelled[item] for item, quantity in quantities.items()}
    restocked = {item: n if requested[item.id].restock else 0 for item, n in shipped.items()}
    refuse_too_many(shipped, left=lambda item: left(item) - to_ship(item), error=NothingToRefund)
    refuse_too_many(
        restocked,
        left=lambda item: item.left_to_return - expected.get(item.id, 0),
        error=NothingToReturn,
    )
    payments = lock_captured_payments(order.id, currency=order.currency)
    refunds = refund_exactly(
        sorted(payments, key=lambda payment: payment.id != payment_id),
        actor=actor,
        amount=price_of(quantities, order.currency),
        currency=order.currency,
        reason=reason,
        at=at,
    )
    refund = refunds[0]
    RefundItem.objects.bulk_create(
        RefundItem(
            refund_id=refund.id,
            order_item=item,
            quantity=quantity,
            quantity_restocked=restocked[item],
        )
        for item, quantity in shipped.items()
        if quantity
    )
    returned = {item: n for item, n in restocked.items() if n}
    locations = {item.id: requested[item.id].location for item in quantities}
    create_levels_for(_units(returned, locations))
    # One sorted statement locks the stock of both, and of the rest that may be cancelled after it.
    lock_stock_levels(item.product_id for item in own)
    _restock(
        order,
        returned,
        locations,
        refund=refund,
        actor=actor,
        at=at,
    )
    cancelled = {item: n for item, n in cancelled.items() if n}
    if cancelled:
        cancel_quantities(order, own, cancelled, actor=actor, at=at, reason=reason, refunds=refunds)
    return refunds


def _restock_all(order: Order, *, refund: Requested, actor: Actor, at: datetime) -> None:
    """Restock all units that are not returned. Those that a return expects come with that."""
    left = returnable_quantities(order.id)
    _restock(order, left, {}, refund=refund, actor=actor, at=at)


def _restock(
    order: Order,
    quantities: Mapping[OrderItem, int],
    locations: Mapping[UUID, str],
    *,
    refund: Requested,
    actor: Actor,
    at: datetime,
) -> None:
    """Restock shipped units of the lines, at the locations by the ids of the lines."""
    if not quantities:
        return
    for item, quantity in quantities.items():
        item.quantity_returned += quantity
    OrderItem.objects.bulk_update(quantities, ["quantity_returned"])
    return_units(
        _units(quantities, locations),
        cause=Cause(actor=actor, reference=f"refund:{refund.id}", order_id=order.id),
        at=at,
    )
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


def _units(
    quantities: Mapping[OrderItem, int], locations: Mapping[UUID, str]
) -> Sequence[ReturnedUnits]:
    return [
        ReturnedUnits(
            product_id=item.product_id, quantity=quantity, location=locations.get(item.id, "")
        )
        for item, quantity in quantities.items()
    ]
