"""Updates orders from the events of their payments."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from inventory.operations.stock import Cause, StockAllocator, open_stock_allocator
from oms.core import clock
from oms.core.actor import Actor, system
from oms.core.money import formatted
from oms.db.bulk_writes import update_rows
from oms.db.transactions import transaction_required
from oms.events.publishing import publish_all
from oms.events.relay import RecordedEvent
from oms.events.types import DomainEvent
from orders.events import OrderPaid, OrderPartiallyPaid, OrderPaymentFailed, OrderRefunded
from orders.locks import items_of, lock_orders
from orders.models import Order, OrderItem
from orders.operations.payment_exceptions import is_overpaid, record_exceptions
from orders.operations.refunding_cancelled import captures_above_total, refund_cancelled_since
from orders.operations.transitions import apply_transition, save_transitions, stock_reference
from orders.operations.validation import check_stock
from orders.payment_status import payment_state_of
from orders.placements import OrderedItem
from orders.states import ENDED, OrderStatus, PaymentState
from payments.events import (
    PaymentAuthorized,
    PaymentBecameUnknown,
    PaymentCaptured,
    PaymentFailed,
    PaymentVoided,
    RefundFailed,
    RefundSucceeded,
)
from payments.locks import lock_payments_of_orders
from payments.operations.refunds import refund_or_void
from payments.queries import PaymentTotals, totals_of_orders
from payments.states import CURRENCY_DIFFERS, DISPUTE_WON


@dataclass(frozen=True, kw_only=True)
class _Context:
    """What the handlers of one payment event work on: the locked order, its items and the stock.

    `totals` are those of the order's payments now. Of the whole batch, `events` are the order
    events, and `waiting` the items that wait for stock.
    """

    order: Order
    items: Sequence[OrderItem]
    stock: StockAllocator
    actor: Actor
    at: datetime
    totals: PaymentTotals
    waiting: list[OrderItem]
    events: list[tuple[DomainEvent, Actor]]

    def publish(self, event: DomainEvent) -> None:
        """Publish `event` with the others of the batch."""
        self.events.append((event, self.actor))

    @property
    def is_paid(self) -> bool:
        """Whether its total was captured, of which something may be refunded since.

        An order that has ended is only confirmed again by what is kept.
        """
        order, totals = self.order, self.totals
        paid = totals.kept if order.status in ENDED else totals.captured
        return paid >= order.total and not is_overpaid(order, totals)


@transaction_required
def apply_payment_events(events: Sequence[RecordedEvent]) -> None:
    """Update orders from events of their payments, of EVENT_TYPES; late ones change nothing.

    The payment status follows from the payments as they are now. An order that is paid or
    authorized in full is confirmed: a pending one, and an expired one if its stock is still
    available. One that was paid too little or too much is put on hold. Any other order that ended
    gets a refund. The number of statements does not depend on the number of events, but for refunds
    and exceptions.
    """
    facts: list[Any] = [event.fact for event in events]
    orders = lock_orders(fact.order_id for fact in facts if fact.order_id is not None)
    ended = [order for order in orders.values() if order.status in ENDED]
    items = items_of(order.id for order in ended if order.status == OrderStatus.EXPIRED)
    totals = totals_of_orders(orders.keys())
    overpaid = captures_above_total(facts, orders, totals)
    # Payments come before stock in the order of locks, and stock is locked before the outcome.
    lock_payments_of_orders({*(order.id for order in ended), *(fact.order_id for fact in overpaid)})
    stock = open_stock_allocator(
        item.product_id for of_order in items.values() for item in of_order
    )
    now = clock.now()
    for fact in overpaid:
        refund_cancelled_since(
            orders[fact.order_id], payment_id=fact.payment_id, actor=system("orders"), at=now
        )
    if ended or overpaid:
        totals = totals_of_orders(orders.keys())
    order_events: list[tuple[DomainEvent, Actor]] = []
    waiting: list[OrderItem] = []
    handled: list[tuple[Any, _Context]] = []
    to_refund: dict[UUID, _Context] = {}
    versions = {order.id: order.version for order in orders.values()}
    for event, fact in zip(events, facts, strict=True):
        order = orders.get(fact.order_id)
        if order is None:
            continue
        context = _Context(
            order=order,
            items=items.get(order.id, ()),
            stock=stock,
            actor=event.actor,
            at=now,
            totals=totals.get((order.id, order.currency), PaymentTotals()),
            waiting=waiting,
            events=order_events,
        )
        handled.append((fact, context))
        _update_payment_status(context)
        if _HANDLERS[type(fact)](fact, context):
            to_refund[order.id] = context
    save_transitions(order for order in orders.values() if order.version != versions[order.id])
    update_rows(
        OrderItem,
        ("id", "quantity_waiting"),
        [(item.id, item.quantity_waiting) for item in waiting],
    )
    publish_all(order_events, at=now)
    stock.save(at=now)
    for context in to_refund.values():
        refund_or_void(
            actor=context.actor,
            order_id=context.order.id,
            reason=f"The order is {context.order.status}.",
            at=now,
        )
    record_exceptions([(fact, each.order, each.totals, each.actor) for fact, each in handled])


def _update_payment_status(context: _Context) -> None:
    order = context.order
    status = payment_state_of(order, context.totals)
    if status != order.payment_status:
        order.payment_status = status
        order.touch(at=context.at)


# Each handler updates the order, publishes events, and returns True if the payment must be
# refunded or voided.


def _handle_captured(fact: PaymentCaptured, context: _Context) -> bool:
    order = context.order
    if fact.currency != order.currency:
        _hold(context, reason=f"{fact.amount} {fact.currency} captured, not {order.currency}")
        return order.status in ENDED
    is_partial = context.totals.captured < order.total
    event_type = OrderPartiallyPaid if is_partial else OrderPaid
    context.publish(
        event_type(
            order_id=order.id,
            number=order.number,
            customer_id=order.customer_id,
            payment_id=fact.payment_id,
            amount=fact.amount,
            currency=fact.currency,
        )
    )
    if not context.is_paid:
        kept = formatted(context.totals.kept, order.currency)
        total = formatted(order.total, order.currency)
        _hold(context, reason=f"{kept} of {total} {order.currency} paid")
        return order.status in ENDED
    return not _confirm(context, reason="paid")


def _handle_authorized(fact: PaymentAuthorized, context: _Context) -> bool:
    return not _confirm(context, reason="payment authorised")


def _confirm(context: _Context, *, reason: str) -> bool:
    """Confirm the order if it waited for its payment; False if the order has ended."""
    order = context.order
    is_late = order.status == OrderStatus.EXPIRED and _reserve_again(context)
    if is_late or order.status == OrderStatus.PENDING:
        why = f"{reason}, late" if is_late else reason
        context.publish(apply_transition(order, OrderStatus.CONFIRMED, at=context.at, reason=why))
    return order.status not in ENDED


def _hold(context: _Context, *, reason: str) -> None:
    """Put the order on hold unless all of it was shipped; staff decide how it goes on."""
    order = context.order
    if OrderStatus.ON_HOLD in order.allowed and not order.has_shipped_everything:
        context.publish(apply_transition(order, OrderStatus.ON_HOLD, at=context.at, reason=reason))


def _reserve_again(context: _Context) -> bool:
    """Reserve the stock of an expired order, as placing does.

    False if it is deleted or the stock is short of a product that is not backorderable.
    """
    order = context.order
    if order.deleted_at is not None:
        return False
    items = [
        OrderedItem(product_id=item.product_id, quantity=item.left_to_ship)
        for item in context.items
        if item.left_to_ship
    ]
    if check_stock(items, stock=context.stock) is not None:
        context.stock.require_complete(item.product_id for item in items)
        return False
    cause = Cause(actor=context.actor, reference=stock_reference(order), order_id=order.id)
    for item in context.items:
        if not item.left_to_ship:
            continue
        item.quantity_waiting = context.stock.reserve(
            item.product_id, item.left_to_ship, cause=cause
        )
        if item.quantity_waiting:
            context.waiting.append(item)
    return True


def _handle_failed(fact: PaymentFailed, context: _Context) -> bool:
    order = context.order
    # One that was paid in another currency is not asked to pay again.
    is_newest = fact.payment_id == context.totals.newest_id and fact.code != CURRENCY_DIFFERS
    if is_newest and order.payment_status in (PaymentState.FAILED, PaymentState.PARTIALLY_PAID):
        context.publish(
            OrderPaymentFailed(
                order_id=order.id,
                number=order.number,
                customer_id=order.customer_id,
                payment_id=fact.payment_id,
                code=fact.code,
            )
        )
    return _handle_status_only(fact, context)


def _handle_status_only(fact: DomainEvent, context: _Context) -> bool:
    order = context.order
    # It costs nothing any more, and no payment of it is in progress.
    is_free = not order.total and order.payment_status == PaymentState.PAID
    if is_free and order.status == OrderStatus.PENDING:
        _confirm(context, reason="nothing to pay")
    return False


def _handle_refund_failed(fact: RefundFailed, context: _Context) -> bool:
    """What the shop has won back with a dispute is refunded if the order has ended since."""
    return fact.code == DISPUTE_WON and context.order.status in ENDED


def _handle_refunded(fact: RefundSucceeded, context: _Context) -> bool:
    order = context.order
    if fact.currency == order.currency:
        context.publish(
            OrderRefunded(
                order_id=order.id,
                number=order.number,
                customer_id=order.customer_id,
                refund_id=fact.refund_id,
                amount=fact.amount,
                currency=fact.currency,
                is_dispute=fact.is_dispute,
            )
        )
    return False


_HANDLERS: Mapping[type[DomainEvent], Callable[[Any, _Context], bool]] = {
    PaymentAuthorized: _handle_authorized,
    PaymentCaptured: _handle_captured,
    PaymentFailed: _handle_failed,
    PaymentBecameUnknown: _handle_status_only,
    PaymentVoided: _handle_status_only,
    RefundFailed: _handle_refund_failed,
    RefundSucceeded: _handle_refunded,
}

# The events of payments that orders subscribe to.
EVENT_TYPES = tuple(_HANDLERS)
