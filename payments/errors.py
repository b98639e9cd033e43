"""What the operations of payments refuse."""

from oms.core.errors import Conflict


class PaymentInProgress(Conflict):
    """The order has a payment whose outcome is still open, or that succeeded."""

    code = "payment_in_progress"


class RefundExceedsCaptured(Conflict):
    """The refund is more than was captured less what is refunded already."""

    code = "refund_exceeds_captured"


class PaymentNotCapturable(Conflict):
    """Only an authorised payment can be captured or voided."""

    code = "payment_not_authorized"
