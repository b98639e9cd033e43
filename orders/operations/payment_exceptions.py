"""The exceptions of orders about money that is not what it should be."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

from django.db.models import Q

from oms.core.actor import Actor
from oms.core.money import with_currency
from oms.db.transactions import transaction_required
from oms.exceptions.kinds import ExceptionKind
from oms.exceptions.operations.recording import settle_exceptions
from orders.models import Order
from payments.events import PaymentCaptured, RefundSucceeded
from payments.operations.exceptions import raise_about_payment, raise_about_refund

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


@transaction_required
def raise_overpaid(order: Order, fact: PaymentCaptured, *, kept: Decimal, actor: Actor) -> None:
    """More than the order's total was captured."""
    paid, total = with_currency(kept, order.currency), with_currency(order.total, order.currency)
    raise_about_payment(
        ExceptionKind.CAPTURED_AMOUNT_DIFFERS,
        f"{paid} were captured for an order of {total}.",
        payment_id=fact.payment_id,
        order_id=order.id,
        actor=actor,
    )


@transaction_required
def raise_refunds_at_provider(order: Order, fact: RefundSucceeded, *, actor: Actor) -> None:
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
