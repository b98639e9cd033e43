"""Payments of orders: requests new ones, and updates orders from the events of payments."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from inventory.operations.stock import Cause, StockAllocator, open_stock_allocator
from oms.core import clock
from oms.core.actor import Actor, system
from oms.core.money import ZERO
from oms.core.permissions import Permission
from oms.db.bulk_writes import update_rows
from oms.db.transactions import transaction, transaction_required
from oms.events.publishing import publish_all
from oms.events.relay import RecordedEvent
from oms.events.types import DomainEvent
from orders.errors import OrderNotPayable
from orders.events import OrderPaid, OrderPaymentFailed, OrderRefunded
from orders.locks import items_of, lock_order, lock_orders
from orders.models import Order, OrderItem
from orders.operations.cancellations import captured_above_total, refund_cancelled
from orders.operations.transitions import apply_transition, save_transitions, stock_reference
from orders.operations.validation import check_stock
from orders.placements import OrderedItem, PaymentChoice
from orders.states import OrderStatus, PaymentState
from payments.errors import PaymentInProgress
from payments.events import (
    PaymentAuthorized,
    PaymentBecameUnknown,
    PaymentCaptured,
    PaymentFailed,
    PaymentVoided,
    RefundSucceeded,
)
from payments.locks import lock_payments_of_orders
from payments.operations.attempts import request_payment
from payments.operations.refunds import refund_or_void
from payments.queries import (
    Requested,
    captured_amounts,
    succeeded_refunds,
    superseded_payments,
)

# Only refunds change these.
_PAID = (PaymentState.PAID, PaymentState.PARTIALLY_REFUNDED, PaymentState.REFUNDED)
# The payment has no known outcome.
_PENDING = (PaymentState.PROCESSING, PaymentState.UNKNOWN)
# Payments captured now are refunded, unless an expired order can still be confirmed.
_ENDED = (OrderStatus.EXPIRED, OrderStatus.CANCELLED)
# Only the latest payment of an order may have these.
_OF_LATEST_PAYMENT = (PaymentFailed, PaymentBecameUnknown, PaymentVoided)


@transaction
def pay_order(
    *, actor: Actor, order_id: UUID, choice: PaymentChoice, expected_version: int | None = None
) -> Requested:
    """Request another payment of the order.

    Raises NotFound, PermissionDenied, StaleVersion, OrderNotPayable unless it is pending, or
    confirmed by staff, and has no payment in progress or captured, and PaymentInProgress.
    """
    order = lock_order(
        order_id,
        actor=actor,
        permissions=[Permission.PAYMENTS_VIEW, Permission.PAYMENTS_RETRY],
        expected_version=expected_version,
    )
    if order.payment_status in _PENDING:
        raise PaymentInProgress
    if not order.is_payable:
        raise OrderNotPayable(current_status=order.status, payment_status=order.payment_status)
    payment = request_payment(
        actor=actor,
        order_id=order.id,
        provider=choice.provider,
        token=choice.token,
        amount=order.total,
        currency=order.currency,
    )
    _set_payment_status(order, PaymentState.PROCESSING, at=clock.now())
    save_transitions([order])
    return payment


@dataclass(frozen=True, kw_only=True)
class _Context:
    """What the handlers of one payment event work on: the locked order, its items and the stock.

    `superseded` are the payments with a later one for their order, `refunded` is the order's
    refunded total of the amount `captured`. Of the whole batch, `events` are the order events, and
    `waiting` the items that wait for stock.
    """

    order: Order
    items: Sequence[OrderItem]
    stock: StockAllocator
    actor: Actor
    at: datetime
    superseded: Collection[UUID]
    refunded: Decimal
    waiting: list[OrderItem]
    captured: Decimal
    events: list[tuple[DomainEvent, Actor]]

    def publish(self, event: DomainEvent) -> None:
        """Publish `event` with the others of the batch."""
        self.events.append((event, self.actor))


@transaction_required
def apply_payment_events(events: Sequence[RecordedEvent]) -> None:
    """Update orders from events of their payments, of EVENT_TYPES; late ones change nothing.

    A captured payment confirms a pending order, and an expired one if it could be placed again.
    Any other order that ended gets a refund. The number of statements does not depend on the number
    of events, but for refunds.
    """
    facts: list[Any] = [event.fact for event in events]
    orders = lock_orders(fact.order_id for fact in facts)
    ended = [order for order in orders.values() if order.status in _ENDED]
    items = items_of(order.id for order in ended if order.status == OrderStatus.EXPIRED)
    # Payments come before stock in the order of locks, and stock is locked before the outcome.
    overpaid = captured_above_total(facts, orders)
    lock_payments_of_orders([*(order.id for order in ended), *overpaid])
    stock = open_stock_allocator(
        item.product_id for of_order in items.values() for item in of_order
    )
    superseded = superseded_payments(
        {fact.payment_id for fact in facts if isinstance(fact, _OF_LATEST_PAYMENT)}
    )
    with_refund = {fact.order_id for fact in facts if isinstance(fact, RefundSucceeded)}
    refunded, captured = succeeded_refunds(with_refund), captured_amounts(with_refund)
    order_events: list[tuple[DomainEvent, Actor]] = []
    waiting: list[OrderItem] = []
    to_refund: list[_Context] = []
    versions = {order.id: order.version for order in orders.values()}
    now = clock.now()
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
            superseded=superseded,
            refunded=refunded.get(order.id, ZERO),
            waiting=waiting,
            captured=captured.get(order.id, ZERO),
            events=order_events,
        )
        if _HANDLERS[type(fact)](fact, context):
            to_refund.append(context)
    save_transitions(order for order in orders.values() if order.version != versions[order.id])
    update_rows(
        OrderItem,
        ("id", "quantity_waiting"),
        [(item.id, item.quantity_waiting) for item in waiting],
    )
    publish_all(order_events, at=now)
    stock.save(at=now)
    for order_id, amount in overpaid.items():
        if orders[order_id].status not in _ENDED:
            refund_cancelled(orders[order_id], captured=amount, actor=system("orders"), at=now)
    for context in to_refund:
        refund_or_void(
            actor=context.actor,
            order_id=context.order.id,
            reason=f"The order is {context.order.status}.",
            at=now,
        )


# Each handler updates the order, publishes events, and returns True if the payment must be
# refunded or voided.


def _handle_captured(fact: PaymentCaptured, context: _Context) -> bool:
    order = context.order
    if order.payment_status in _PAID:
        return False
    _set_payment_status(order, PaymentState.PAID, at=context.at)
    context.publish(
        OrderPaid(
            order_id=order.id,
            number=order.number,
            customer_id=order.customer_id,
            payment_id=fact.payment_id,
            amount=fact.amount,
            currency=fact.currency,
        )
    )
    return not _confirm(context, reason="paid")


def _handle_authorized(fact: PaymentAuthorized, context: _Context) -> bool:
    if context.order.payment_status == PaymentState.UNKNOWN:
        _set_payment_status(context.order, PaymentState.PROCESSING, at=context.at)
    return not _confirm(context, reason="payment authorised")


def _confirm(context: _Context, *, reason: str) -> bool:
    """Confirm the order if it waited for its payment; False if the order has ended."""
    order = context.order
    if order.status == OrderStatus.PENDING:
        context.publish(
            apply_transition(order, OrderStatus.CONFIRMED, at=context.at, reason=reason)
        )
    elif order.status == OrderStatus.EXPIRED and _reserve_again(context):
        late = f"{reason}, late"
        context.publish(apply_transition(order, OrderStatus.CONFIRMED, at=context.at, reason=late))
    return order.status not in _ENDED


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
    if _is_pending(fact, context):
        _set_payment_status(order, PaymentState.FAILED, at=context.at)
        context.publish(
            OrderPaymentFailed(
                order_id=order.id,
                number=order.number,
                customer_id=order.customer_id,
                payment_id=fact.payment_id,
                code=fact.code,
            )
        )
    return False


def _handle_unknown(fact: PaymentBecameUnknown, context: _Context) -> bool:
    order = context.order
    if order.payment_status == PaymentState.PROCESSING and _is_pending(fact, context):
        _set_payment_status(order, PaymentState.UNKNOWN, at=context.at)
    return False


def _handle_voided(fact: PaymentVoided, context: _Context) -> bool:
    if _is_pending(fact, context):
        _set_payment_status(context.order, PaymentState.UNPAID, at=context.at)
    return False


def _is_pending(
    fact: PaymentFailed | PaymentBecameUnknown | PaymentVoided, context: _Context
) -> bool:
    """Whether the order is waiting for this payment and no later one."""
    return context.order.payment_status in _PENDING and fact.payment_id not in context.superseded


def _handle_refunded(fact: RefundSucceeded, context: _Context) -> bool:
    order = context.order
    is_total = context.refunded >= context.captured
    status = PaymentState.REFUNDED if is_total else PaymentState.PARTIALLY_REFUNDED
    _set_payment_status(order, status, at=context.at)
    context.publish(
        OrderRefunded(
            order_id=order.id,
            number=order.number,
            customer_id=order.customer_id,
            refund_id=fact.refund_id,
            amount=fact.amount,
            currency=fact.currency,
        )
    )
    return False


def _set_payment_status(order: Order, status: PaymentState, *, at: datetime) -> None:
    order.payment_status = status
    order.touch(at=at)


_HANDLERS: Mapping[type[DomainEvent], Callable[[Any, _Context], bool]] = {
    PaymentAuthorized: _handle_authorized,
    PaymentCaptured: _handle_captured,
    PaymentFailed: _handle_failed,
    PaymentBecameUnknown: _handle_unknown,
    PaymentVoided: _handle_voided,
    RefundSucceeded: _handle_refunded,
}

# The events of payments that orders subscribe to.
EVENT_TYPES = tuple(_HANDLERS)
