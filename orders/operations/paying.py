"""What payments do to orders: news of them arrives as events, new attempts are asked for here."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

from inventory.operations.stock import Cause, StockAllocator, open_stock_allocator
from oms.core import clock
from oms.core.actor import Actor
from oms.core.money import ZERO
from oms.db.transactions import transaction, transaction_required
from oms.events.publishing import publish_all
from oms.events.relay import RecordedEvent
from oms.events.types import DomainEvent
from orders.errors import OrderNotPayable
from orders.events import OrderPaid, OrderPaymentFailed, OrderRefunded
from orders.locks import items_of, lock_order, lock_orders
from orders.models import Order, OrderItem
from orders.operations.transitions import moved, save_steps, step_reference
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
from payments.queries import overtaken_attempts, succeeded_refunds

if TYPE_CHECKING:
    from payments.models import Payment

# What nothing but the money's own way back may take an order out of.
_MONEY_TAKEN = (PaymentState.PAID, PaymentState.PARTIALLY_REFUNDED, PaymentState.REFUNDED)
# Where the outcome of a payment is awaited.
_AWAITED = (PaymentState.PROCESSING, PaymentState.UNKNOWN)
# Where money that comes goes back, unless an expired order can have its stock again.
_OWED_NOTHING = (OrderStatus.EXPIRED, OrderStatus.CANCELLED)
# News that is old once there is a later attempt.
_OF_ATTEMPTS = (PaymentFailed, PaymentBecameUnknown, PaymentVoided)


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
    _let_payment_be(order, PaymentState.PROCESSING, at=clock.now())
    save_steps([order])
    return payment


@dataclass(frozen=True, kw_only=True)
class _News:
    """One piece of news about a locked order, and what becomes of it: `facts` to be published.

    `later` are the payments of which there is a newer attempt, `refunded` what has gone back for
    the order in all.
    """

    order: Order
    items: Sequence[OrderItem]
    book: StockAllocator
    actor: Actor
    at: datetime
    later: Collection[UUID]
    refunded: Decimal
    facts: list[tuple[DomainEvent, Actor]]

    def tell(self, fact: DomainEvent) -> None:
        """Have `fact` published with the others of the batch."""
        self.facts.append((fact, self.actor))


@transaction_required
def apply_payment_events(events: Sequence[RecordedEvent]) -> None:
    """Let the orders follow what happened to their payments; news that is old changes nothing.

    The events are of the types EVENT_TYPES. The number of statements does not depend on how many
    they are, but for money that goes back.

    A payment that is captured confirms a pending order. An expired order is confirmed again if its
    stock can be had again. Money that came for any other order is given back.
    """
    told: list[Any] = [event.fact for event in events]
    orders = lock_orders(fact.order_id for fact in told)
    items = items_of(order.id for order in orders.values() if order.status == OrderStatus.EXPIRED)
    # Payments come before stock in the order of locks, and the stock cannot wait for the outcome.
    lock_payments_of_orders(order.id for order in orders.values() if order.status in _OWED_NOTHING)
    book = open_stock_allocator(item.product_id for of_order in items.values() for item in of_order)
    later = overtaken_attempts({f.payment_id for f in told if isinstance(f, _OF_ATTEMPTS)})
    refunded = succeeded_refunds({f.order_id for f in told if isinstance(f, RefundSucceeded)})
    facts: list[tuple[DomainEvent, Actor]] = []
    owed: list[_News] = []
    versions = {order.id: order.version for order in orders.values()}
    now = clock.now()
    for event, fact in zip(events, told, strict=True):
        order = orders.get(fact.order_id)
        if order is None:
            continue
        news = _News(
            order=order,
            items=items.get(order.id, ()),
            book=book,
            actor=event.actor,
            at=now,
            later=later,
            refunded=refunded.get(order.id, ZERO),
            facts=facts,
        )
        if _REACTIONS[type(fact)](fact, news):
            owed.append(news)
    save_steps(order for order in orders.values() if order.version != versions[order.id])
    publish_all(facts, at=now)
    book.save(at=now)
    for news in owed:
        refund_or_void(
            actor=news.actor,
            order_id=news.order.id,
            reason=f"The order is {news.order.status}.",
            at=now,
        )


# Each of these changes the order, tells what happened, and returns whether its money goes back.


def _captured(fact: PaymentCaptured, news: _News) -> bool:
    order = news.order
    if order.payment_status in _MONEY_TAKEN:
        return False
    _let_payment_be(order, PaymentState.PAID, at=news.at)
    news.tell(
        OrderPaid(
            order_id=order.id,
            number=order.number,
            customer_id=order.customer_id,
            payment_id=fact.payment_id,
            amount=fact.amount,
            currency=fact.currency,
        )
    )
    return not _is_accepted(news, reason="paid")


def _authorized(fact: PaymentAuthorized, news: _News) -> bool:
    if news.order.payment_status == PaymentState.UNKNOWN:
        _let_payment_be(news.order, PaymentState.PROCESSING, at=news.at)
    return not _is_accepted(news, reason="payment authorised")


def _is_accepted(news: _News, *, reason: str) -> bool:
    """Confirm an order whose money is there; False if it is owed nothing."""
    order = news.order
    if order.status == OrderStatus.PENDING:
        news.tell(moved(order, OrderStatus.CONFIRMED, at=news.at, reason=reason))
    elif order.status == OrderStatus.EXPIRED and _reserved_again(news):
        news.tell(moved(order, OrderStatus.CONFIRMED, at=news.at, reason=f"{reason}, late"))
    return order.status not in _OWED_NOTHING


def _reserved_again(news: _News) -> bool:
    if news.order.deleted_at is not None:
        return False
    wanted = [OrderedItem(product_id=i.product_id, quantity=i.quantity) for i in news.items]
    if check_stock(wanted, book=news.book) is not None:
        return False
    cause = Cause(actor=news.actor, reference=step_reference(news.order), order_id=news.order.id)
    for item in wanted:
        news.book.reserve(item.product_id, item.quantity, cause=cause)
    return True


def _failed(fact: PaymentFailed, news: _News) -> bool:
    order = news.order
    if _is_awaited(fact, news):
        _let_payment_be(order, PaymentState.FAILED, at=news.at)
        news.tell(
            OrderPaymentFailed(
                order_id=order.id,
                number=order.number,
                customer_id=order.customer_id,
                payment_id=fact.payment_id,
                code=fact.code,
            )
        )
    return False


def _unknown(fact: PaymentBecameUnknown, news: _News) -> bool:
    if news.order.payment_status == PaymentState.PROCESSING and _is_awaited(fact, news):
        _let_payment_be(news.order, PaymentState.UNKNOWN, at=news.at)
    return False


def _voided(fact: PaymentVoided, news: _News) -> bool:
    if _is_awaited(fact, news):
        _let_payment_be(news.order, PaymentState.UNPAID, at=news.at)
    return False


def _is_awaited(fact: PaymentFailed | PaymentBecameUnknown | PaymentVoided, news: _News) -> bool:
    """Whether the order waits for that very attempt; news of an earlier one, told late, is old."""
    return news.order.payment_status in _AWAITED and fact.payment_id not in news.later


def _refunded(fact: RefundSucceeded, news: _News) -> bool:
    order = news.order
    whole = news.refunded >= order.total
    _let_payment_be(
        order, PaymentState.REFUNDED if whole else PaymentState.PARTIALLY_REFUNDED, at=news.at
    )
    news.tell(
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


def _let_payment_be(order: Order, status: PaymentState, *, at: datetime) -> None:
    order.payment_status = status
    order.touch(at=at)


_REACTIONS: Mapping[type[DomainEvent], Callable[[Any, _News], bool]] = {
    PaymentAuthorized: _authorized,
    PaymentCaptured: _captured,
    PaymentFailed: _failed,
    PaymentBecameUnknown: _unknown,
    PaymentVoided: _voided,
    RefundSucceeded: _refunded,
}

# What orders hear of payments.
EVENT_TYPES = tuple(_REACTIONS)
