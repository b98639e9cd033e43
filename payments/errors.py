"""Errors of payment operations."""

from oms.core.errors import Conflict


class PaymentInProgress(Conflict):
    """The order has a payment that is in progress or has succeeded."""

    code = "payment_in_progress"


class RefundExceedsCaptured(Conflict):
    """The refund exceeds the captured amount that is not refunded yet."""

    code = "refund_exceeds_captured"


class PaymentNotCapturable(Conflict):
    """Only an authorized payment can be captured or voided."""

    code = "payment_not_authorized"
