"""What payments do to orders: news of them arrives as events, new attempts are asked for here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from inventory.operations.stock import Cause, StockBook, open_stock_book
from oms.core import clock
from oms.core.actor import Actor
from oms.core.db import transaction, transaction_required
from oms.events.domain import DomainEvent
from oms.events.publishing import publish
from oms.events.relaying import RecordedEvent
from orders.errors import OrderNotPayable
from orders.events import OrderPaid, OrderPaymentFailed, OrderRefunded
from orders.locks import items_of, lock_order, lock_orders
from orders.models import Order, OrderItem
from orders.operations.checking import short
from orders.operations.moving import move_order, step_reference
from orders.operations.placing import OrderedItem, PaymentChoice
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
from payments.operations.giving_back import give_money_back
from payments.operations.requesting import request_payment
from payments.queries import has_later_attempt, succeeded_refunds

if TYPE_CHECKING:
    from payments.models import Payment

# What nothing but the money's own way back may take an order out of.
_MONEY_TAKEN = (PaymentState.PAID, PaymentState.PARTIALLY_REFUNDED, PaymentState.REFUNDED)
# Where the outcome of a payment is awaited.
_AWAITED = (PaymentState.PROCESSING, PaymentState.UNKNOWN)
# Where money that comes goes back, unless an expired order can have its stock again.
_OWED_NOTHING = (OrderStatus.EXPIRED, OrderStatus.CANCELLED)


@transaction
def pay_order(*, actor: Actor, order_id: UUID, choice: PaymentChoice) -> Payment:
    """Ask for another attempt at paying the order.

    Raises NotFound, OrderNotPayable unless it is pending, or confirmed by staff, and has no payment
    under way or taken, and PaymentInProgress.
    """
    order = lock_order(order_id, actor=actor)
    if order.payment_status in _AWAITED:
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
    return payment


@dataclass(frozen=True, kw_only=True)
class _News:
    """One piece of news about a locked order."""

    order: Order
    items: Sequence[OrderItem]
    book: StockBook
    actor: Actor
    at: datetime


@transaction_required
def hear_of_payments(events: Sequence[RecordedEvent]) -> None:
    """Let the orders follow what happened to their payments; news that is old changes nothing.

    The events are of the types HEARD.

    A payment that is captured confirms a pending order. An expired order is confirmed again if its
    stock can be had again. Money that came for any other order is given back.
    """
    facts: list[Any] = [event.fact for event in events]
    orders = lock_orders(fact.order_id for fact in facts)
    items = items_of(order.id for order in orders.values() if order.status == OrderStatus.EXPIRED)
    # Payments come before stock in the order of locks, and the stock cannot wait for the outcome.
    lock_payments_of_orders(order.id for order in orders.values() if order.status in _OWED_NOTHING)
    book = open_stock_book(item.product_id for of_order in items.values() for item in of_order)
    now = clock.now()
    for event, fact in zip(events, facts, strict=True):
        order = orders.get(fact.order_id)
        if order is not None:
            news = _News(
                order=order, items=items.get(order.id, ()), book=book, actor=event.actor, at=now
            )
            _REACTIONS[type(fact)](fact, news)
    book.save(at=now)


def _captured(fact: PaymentCaptured, news: _News) -> None:
    order = news.order
    if order.payment_status in _MONEY_TAKEN:
        return
    _set_payment_status(order, PaymentState.PAID, at=news.at)
    publish(
        OrderPaid(
            order_id=order.id,
            number=order.number,
            customer_id=order.customer_id,
            payment_id=fact.payment_id,
            amount=fact.amount,
            currency=fact.currency,
        ),
        actor=news.actor,
        at=news.at,
    )
    _accept(news, reason="paid")


def _authorized(fact: PaymentAuthorized, news: _News) -> None:
    if news.order.payment_status == PaymentState.UNKNOWN:
        _set_payment_status(news.order, PaymentState.PROCESSING, at=news.at)
    _accept(news, reason="payment authorised")


def _accept(news: _News, *, reason: str) -> None:
    """Confirm an order whose money is there, or give the money back."""
    order = news.order
    if order.status == OrderStatus.PENDING:
        move_order(order, OrderStatus.CONFIRMED, actor=news.actor, at=news.at, reason=reason)
    elif order.status == OrderStatus.EXPIRED and _reserved_again(news):
        move_order(
            order, OrderStatus.CONFIRMED, actor=news.actor, at=news.at, reason=f"{reason}, late"
        )
    elif order.status in _OWED_NOTHING:
        give_money_back(
            actor=news.actor, order_id=order.id, reason=f"The order is {order.status}.", at=news.at
        )


def _reserved_again(news: _News) -> bool:
    if news.order.deleted_at is not None:
        return False
    wanted = [OrderedItem(product_id=i.product_id, quantity=i.quantity) for i in news.items]
    if short(wanted, book=news.book) is not None:
        return False
    cause = Cause(actor=news.actor, reference=step_reference(news.order), order_id=news.order.id)
    for item in wanted:
        news.book.reserve(item.product_id, item.quantity, cause=cause)
    return True


def _failed(fact: PaymentFailed, news: _News) -> None:
    order = news.order
    if not _is_awaited(fact, order):
        return
    _set_payment_status(order, PaymentState.FAILED, at=news.at)
    publish(
        OrderPaymentFailed(
            order_id=order.id,
            number=order.number,
            customer_id=order.customer_id,
            payment_id=fact.payment_id,
            code=fact.code,
        ),
        actor=news.actor,
        at=news.at,
    )


def _unknown(fact: PaymentBecameUnknown, news: _News) -> None:
    if news.order.payment_status == PaymentState.PROCESSING and _is_awaited(fact, news.order):
        _set_payment_status(news.order, PaymentState.UNKNOWN, at=news.at)


def _voided(fact: PaymentVoided, news: _News) -> None:
    if _is_awaited(fact, news.order):
        _set_payment_status(news.order, PaymentState.UNPAID, at=news.at)


def _is_awaited(fact: PaymentFailed | PaymentBecameUnknown | PaymentVoided, order: Order) -> bool:
    """Whether the order waits for that very attempt; news of an earlier one, told late, is old."""
    return order.payment_status in _AWAITED and not has_later_attempt(
        order_id=order.id, payment_id=fact.payment_id
    )


def _refunded(fact: RefundSucceeded, news: _News) -> None:
    order = news.order
    refunded = succeeded_refunds(order.id)
    whole = refunded >= order.total
    _set_payment_status(
        order, PaymentState.REFUNDED if whole else PaymentState.PARTIALLY_REFUNDED, at=news.at
    )
    publish(
        OrderRefunded(
            order_id=order.id,
            number=order.number,
            customer_id=order.customer_id,
            refund_id=fact.refund_id,
            amount=fact.amount,
            currency=fact.currency,
        ),
        actor=news.actor,
        at=news.at,
    )


def _set_payment_status(order: Order, status: PaymentState, *, at: datetime) -> None:
    order.payment_status = status
    order.touch(at=at)
    order.save(update_fields=["payment_status", "version", "updated_at"])


_REACTIONS: Mapping[type[DomainEvent], Callable[[Any, _News], None]] = {
    PaymentAuthorized: _authorized,
    PaymentCaptured: _captured,
    PaymentFailed: _failed,
    PaymentBecameUnknown: _unknown,
    PaymentVoided: _voided,
    RefundSucceeded: _refunded,
}

# What orders hear of payments.
HEARD = tuple(_REACTIONS)
