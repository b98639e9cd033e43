"""An order's payment status and what it owes, derived from the totals of its payments."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Protocol

from orders.models import Order
from orders.states import ENDED, PaymentState
from payments.queries import PaymentTotals, totals_of_orders
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


class Payable(Protocol):
    """What of an order its payment status depends on; `payment_status` is the one before."""

    @property
    def total(self) -> Decimal: ...
    @property
    def status(self) -> Any: ...
    @property
    def payment_status(self) -> Any: ...


def payment_state(order: Payable, totals: PaymentTotals) -> PaymentState:
    """The payment status of the order, whose payments have those totals in its currency."""
    newest = _OF_NEWEST[totals.newest_status]
    if totals.captured:
        if totals.refunded >= totals.captured:
            return PaymentState.REFUNDED
        if totals.refunded:
            return PaymentState.PARTIALLY_REFUNDED
        if totals.captured >= order.total:
            return PaymentState.PAID
        return newest if newest in IN_PROGRESS else PaymentState.PARTIALLY_PAID
    # What costs nothing is paid; but of what was cancelled as a whole, nothing is left to pay.
    is_free = not order.total and (
        order.status not in ENDED or order.payment_status == PaymentState.PAID
    )
    return PaymentState.PAID if is_free and newest not in IN_PROGRESS else newest


def current_payment_state(order: Order) -> PaymentState:
    """The payment status that the order's payments give it now."""
    totals = totals_of_orders([order.id]).get((order.id, order.currency), PaymentTotals())
    return payment_state(order, totals)


def owed(total: Decimal, totals: PaymentTotals) -> Decimal:
    """What is still to be paid of an order of that `total`; negative if too much was."""
    return total - totals.kept
