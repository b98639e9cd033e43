"""Requests payments of orders."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

from oms.core import clock
from oms.core.actor import Actor
from oms.core.money import formatted, in_currency
from oms.core.permissions import Permission
from oms.db.transactions import transaction
from orders.errors import OrderNotPayable, TotalChanged
from orders.locks import lock_order
from orders.operations.transitions import save_transitions
from orders.payment_status import IN_PROGRESS, owed
from orders.placements import PaymentChoice
from orders.states import PaymentState
from payments.errors import PaymentInProgress
from payments.operations.attempts import request_payment
from payments.queries import PaymentTotals, Requested, totals_of_orders


@transaction
def pay_order(
    *,
    actor: Actor,
    order_id: UUID,
    choice: PaymentChoice,
    expected_total: Decimal | None = None,
    expected_version: int | None = None,
) -> Requested:
    """Request a payment of what is still owed for the order.

    Raises NotFound, PermissionDenied, StaleVersion, PaymentInProgress, Invalid for more decimals
    than the currency has, TotalChanged if its total is not `expected_total`, and OrderNotPayable if
    nothing is owed, or the order has ended.
    """
    order = lock_order(
        order_id,
        actor=actor,
        permissions=[Permission.PAYMENTS_VIEW, Permission.PAYMENTS_RETRY],
        expected_version=expected_version,
    )
    if expected_total is not None:
        expected_total = in_currency(expected_total, order.currency, pointer="/expected_total")
        if expected_total != order.total:
            raise TotalChanged(
                expected=formatted(expected_total, order.currency),
                total=formatted(order.total, order.currency),
            )
    if order.payment_status in IN_PROGRESS:
        raise PaymentInProgress
    if not order.is_payable:
        raise OrderNotPayable(current_status=order.status, payment_status=order.payment_status)
    # The payments decide, for the order's own payment status may be behind.
    totals = totals_of_orders([order.id]).get((order.id, order.currency), PaymentTotals())
    amount = owed(order, totals)
    if amount <= 0:
        raise PaymentInProgress
    payment = request_payment(
        actor=actor,
        order_id=order.id,
        provider=choice.provider,
        token=choice.token,
        amount=amount,
        currency=order.currency,
    )
    order.payment_status = PaymentState.PROCESSING
    order.touch(at=clock.now())
    save_transitions([order])
    return payment
