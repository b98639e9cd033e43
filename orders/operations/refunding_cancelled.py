"""Refunds of what was cancelled: its price, as far as it was paid and is not refunded already."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from oms.core.actor import Actor
from oms.core.money import ZERO
from oms.core.permissions import Permission
from oms.db.transactions import transaction_required
from oms.events.types import DomainEvent
from orders.models import Cancellation, Order
from orders.operations.payment_exceptions import is_overpaid
from orders.states import OrderStatus
from payments.events import PaymentCaptured
from payments.locks import lock_captured_payments
from payments.operations.refunds import refund_captured
from payments.queries import PaymentTotals, Requested, amounts_of_refunds
from payments.states import Origin


@transaction_required
def refund_price(
    order: Order, price: Decimal, *, actor: Actor, at: datetime, reason: str
) -> Sequence[Requested]:
    """Refund the `price` of units that are cancelled of a locked order, as far as it was paid.

    `order.total` is what is still sold. What staff have refunded for that is not taken back, once
    the order was paid. What others have refunded at the provider was for what is cancelled now,
    unless it was paid twice. Raises PermissionDenied if anything is to be refunded.
    """
    payments = lock_captured_payments(order.id, currency=order.currency)
    captured = sum((payment.captured_amount for payment in payments), ZERO)
    refunded = sum((payment.refunded_amount for payment in payments), ZERO)
    by_others = sum((payment.refunded_at_provider for payment in payments), ZERO)
    unrefunded = captured - order.total
    if captured < order.total + price:  # never paid in full
        unrefunded = sum((payment.refundable for payment in payments), ZERO) - order.total
    elif by_others:
        cancelled, for_cancelled = _refunded_for_cancelled(order)
        ever_sold = order.total + price + cancelled
        by_staff = refunded - by_others - for_cancelled
        paid_twice = max(captured - ever_sold - by_staff, ZERO)
        unrefunded = min(captured, ever_sold) - order.total - for_cancelled
        unrefunded -= max(by_others - paid_twice, ZERO)
    refunds = refund_captured(
        payments,
        actor=actor,
        amount=min(price, unrefunded),
        reason=reason or "Items were cancelled.",
        at=at,
    )
    if refunds:
        actor.require(Permission.PAYMENTS_REFUND)
    return refunds


def _refunded_for_cancelled(order: Order) -> tuple[Decimal, Decimal]:
    """The price of what was cancelled of the order before, and how much of it was refunded."""
    prices: dict[UUID | None, Decimal] = {}
    for refund_id, price in Cancellation.objects.filter(order=order).values_list(
        "refund_id", "amount"
    ):
        prices[refund_id] = prices.get(refund_id, ZERO) + price
    amounts = amounts_of_refunds({id for id in prices if id is not None})
    refunded = sum((min(prices[id], amount) for id, amount in amounts.items()), ZERO)
    return sum(prices.values(), ZERO), refunded


def captures_above_total(
    facts: Iterable[DomainEvent],
    orders: Mapping[UUID, Order],
    totals: Mapping[tuple[UUID, str], PaymentTotals],
) -> list[Any]:
    """The captures of the shop of orders of which more is kept than they are worth."""

    def is_above(fact: DomainEvent) -> bool:
        if not isinstance(fact, PaymentCaptured) or fact.origin != Origin.SHOP:
            return False
        order = orders.get(fact.order_id) if fact.order_id else None
        if order is None or order.status == OrderStatus.CANCELLED:
            return False
        return is_overpaid(order, totals.get((order.id, order.currency), PaymentTotals()))

    return [fact for fact in facts if is_above(fact)]


@transaction_required
def refund_cancelled_since(order: Order, *, payment_id: UUID, actor: Actor, at: datetime) -> None:
    """Refund what was cancelled of a locked order while its captured payment was in progress.

    Not more than what is kept above the order's total: some of it may be refunded already.
    """
    payments = lock_captured_payments(order.id, currency=order.currency)
    requested_at = next((each.created_at for each in payments if each.id == payment_id), None)
    if requested_at is None:
        return  # in another currency
    kept = sum((payment.refundable for payment in payments), ZERO)
    unpaid = list(
        Cancellation.objects.filter(order=order, refund_id=None, created_at__gte=requested_at)
    )
    refunds = refund_captured(
        payments,
        actor=actor,
        amount=min(kept - order.total, sum((one.amount for one in unpaid), ZERO)),
        reason="Items were cancelled before the payment was received.",
        at=at,
    )
    if refunds:
        ids = [cancellation.id for cancellation in unpaid]
        Cancellation.objects.filter(pk__in=ids).update(refund_id=refunds[0].id)
