"""An order's payment status and what it owes, derived from the totals of its payments."""

from __future__ import annotations

from decimal import Decimal

from oms.core.money import ZERO
from orders.models import Order
from orders.states import ENDED, PaymentState
from payments.queries import PaymentTotals
from payments.states import PaymentStatus

_OF_NEWEST = {
    "": PaymentState.UNPAID,
    PaymentStatus.CREATED: PaymentState.PROCESSING,
    PaymentStatus.PROCESSING: PaymentState.PROCESSING,
    PaymentStatus.UNKNOWN: PaymentState.UNKNOWN,
    PaymentStatus.AUTHORIZED: PaymentState.AUTHORIZED,
    PaymentStatus.FAILED: PaymentState.FAILED,
    PaymentStatus.VOIDED: PaymentState.UNPAID,
    PaymentStatus.CAPTURED: PaymentState.UNPAID,  # in another currency than the order's
}
IN_PROGRESS = (PaymentState.PROCESSING, PaymentState.AUTHORIZED, PaymentState.UNKNOWN)


def payment_state(
    total: Decimal, totals: PaymentTotals, *, status: str, previous: str = ""
) -> PaymentState:
    """The payment status of an order of that `total`, whose payments have `totals`.

    `status` is the order's own, and `previous` its payment status so far.

    Once its total was captured, what was refunded shows. Until then only what was kept counts, so
    that the rest can be paid.
    """
    newest = _OF_NEWEST[totals.newest_status]
    if not totals.captured:
        # What costs nothing is paid; but of what was cancelled as a whole, nothing is left to pay.
        is_free = not total and (status not in ENDED or previous == PaymentState.PAID)
        return PaymentState.PAID if is_free and newest not in IN_PROGRESS else newest
    is_complete = totals.captured >= total
    is_returned = totals.refunded >= totals.captured
    if (is_complete or status in ENDED) and not is_returned:
        if totals.refunded:
            return PaymentState.PARTIALLY_REFUNDED
        if is_complete:
            return PaymentState.PAID
    if newest in IN_PROGRESS:
        return newest
    if not is_returned:
        return PaymentState.PARTIALLY_PAID
    return PaymentState.REFUNDED if is_complete or status in ENDED else newest


def payment_state_of(order: Order, totals: PaymentTotals) -> PaymentState:
    """The payment status of the order, whose payments have those totals in its currency."""
    return payment_state(order.total, totals, status=order.status, previous=order.payment_status)


def owed(order: Order, totals: PaymentTotals) -> Decimal:
    """What is still to be paid of the order.

    Nothing once its total was captured: what was refunded of that is not asked for again.
    """
    return order.total - totals.kept if totals.captured < order.total else ZERO
