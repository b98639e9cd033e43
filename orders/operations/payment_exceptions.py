"""The exceptions of orders about money that is not what it should be."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from uuid import UUID

from django.db.models import Q, Sum

from oms.core.actor import Actor
from oms.core.ids import creation_time_of
from oms.core.money import with_currency
from oms.db.transactions import transaction_required
from oms.events.types import DomainEvent
from oms.exceptions.kinds import ExceptionKind
from oms.exceptions.operations.recording import settle_exceptions
from orders.models import Cancellation, Order
from orders.states import ENDED
from payments.events import PaymentCaptured, RefundFailed, RefundSucceeded
from payments.operations.exceptions import (
    raise_about_payment,
    raise_about_refund,
    settle_failed_refunds,
)
from payments.queries import PaymentTotals
from payments.states import DISPUTE_WON, Origin

# Mended once what was kept of the payments is what the order is worth.
_BALANCE = (
    ExceptionKind.CAPTURED_AMOUNT_DIFFERS,
    ExceptionKind.CAPTURED_AFTER_FINAL,
    ExceptionKind.CHARGE_AT_PROVIDER,
    ExceptionKind.REFUND_AT_PROVIDER,
)


@transaction_required
def settle_balanced(order_id: UUID, *, actor: Actor) -> None:
    """What was kept of the order's payments is its total now, or nothing if it has ended."""
    settle_exceptions(_BALANCE, about=Q(order_id=order_id), actor=actor)


def is_overpaid(order: Order, totals: PaymentTotals) -> bool:
    """Whether more is kept than the order is worth."""
    return bool(totals.kept > order.total)


@transaction_required
def record_exceptions(handled: Sequence[tuple[DomainEvent, Order, PaymentTotals, Actor]]) -> None:
    """Raise those that payment events cause, and settle those that they mend.

    The totals are those of the order's payments, and the actor is that of the event.
    """
    balanced = set()
    for fact, order, totals, actor in handled:
        right = 0 if order.status in ENDED else order.total
        if isinstance(fact, RefundSucceeded):
            if totals.kept <= right:
                settle_failed_refunds(order.id, actor=actor)
            if fact.origin == Origin.PROVIDER and order.status not in ENDED:
                _raise_refund_at_provider(order, fact, actor=actor)
        elif isinstance(fact, PaymentCaptured):
            if is_overpaid(order, totals) and fact.origin == Origin.SHOP:
                _raise_overpaid(order, fact.payment_id, kept=totals.kept, actor=actor)
        elif isinstance(fact, RefundFailed):
            if fact.code == DISPUTE_WON and order.status not in ENDED:
                _raise_about_won_dispute(order, fact, kept=totals.kept, actor=actor)
        else:
            continue
        # Of most captures nothing can be open: they are the order's only payment, and all of it.
        is_plain = (
            isinstance(fact, PaymentCaptured) and fact.amount == order.total == totals.captured
        )
        if totals.kept == right and not is_plain:
            balanced.add((order.id, actor))
    for order_id, actor in balanced:
        settle_balanced(order_id, actor=actor)


@transaction_required
def _raise_overpaid(order: Order, payment_id: UUID, *, kept: Decimal, actor: Actor) -> None:
    paid, total = with_currency(kept, order.currency), with_currency(order.total, order.currency)
    raise_about_payment(
        ExceptionKind.CAPTURED_AMOUNT_DIFFERS,
        f"{paid} were captured and kept for an order of {total}.",
        payment_id=payment_id,
        order_id=order.id,
        actor=actor,
    )


@transaction_required
def _raise_about_won_dispute(
    order: Order, fact: RefundFailed, *, kept: Decimal, actor: Actor
) -> None:
    """What was cancelled while the dispute was open counted as refunded, and is owed now."""
    cancelled = Cancellation.objects.filter(
        order=order, refund_id=None, created_at__gte=creation_time_of(fact.refund_id)
    ).aggregate(sum=Sum("amount"))["sum"]
    if cancelled is None:
        if kept > order.total:
            _raise_overpaid(order, fact.payment_id, kept=kept, actor=actor)
        return
    raise_about_payment(
        ExceptionKind.CAPTURED_AMOUNT_DIFFERS,
        f"{with_currency(cancelled, order.currency)} were cancelled during a dispute that the shop"
        f" has won, and not refunded; {with_currency(kept, order.currency)} are kept for an order"
        f" of {with_currency(order.total, order.currency)}.",
        payment_id=fact.payment_id,
        order_id=order.id,
        actor=actor,
    )


@transaction_required
def _raise_refund_at_provider(order: Order, fact: RefundSucceeded, *, actor: Actor) -> None:
    """Somebody else refunded an order that goes on."""
    money = with_currency(fact.amount, fact.currency)
    raise_about_refund(
        ExceptionKind.REFUND_AT_PROVIDER,
        f"{money} were refunded at the provider; the order is {order.status}.",
        refund_id=fact.refund_id,
        payment_id=fact.payment_id,
        order_id=order.id,
        actor=actor,
    )
