"""The colours of statuses, and what they mean for staff."""

from django.utils.translation import gettext_lazy as _

from payments.states import PaymentStatus, RefundStatus

PAYMENT_COLOURS = {
    PaymentStatus.CREATED: "",
    PaymentStatus.PROCESSING: "info",
    PaymentStatus.UNKNOWN: "warning",
    PaymentStatus.AUTHORIZED: "primary",
    PaymentStatus.CAPTURED: "success",
    PaymentStatus.FAILED: "danger",
    PaymentStatus.VOIDED: "",
}
REFUND_COLOURS = {
    RefundStatus.REQUESTED: "",
    RefundStatus.PROCESSING: "info",
    RefundStatus.UNKNOWN: "warning",
    RefundStatus.SUCCEEDED: "success",
    RefundStatus.FAILED: "danger",
}

PAYMENT_HELP = {
    PaymentStatus.CREATED: _("Waiting to be sent to the payment provider."),
    PaymentStatus.PROCESSING: _("Sent to the payment provider. Awaiting its response."),
    PaymentStatus.UNKNOWN: _(
        "The payment provider hasn't responded, so the customer may have been charged. We retry "
        "automatically. Don't ask the customer to pay again."
    ),
    PaymentStatus.AUTHORIZED: _("Authorised but not charged. Capture or void it from the order."),
    PaymentStatus.CAPTURED: _("The customer was charged."),
    PaymentStatus.FAILED: _("The customer was not charged and can try again."),
    PaymentStatus.VOIDED: _("The authorisation was released. The customer was not charged."),
}
DISPUTE_HELP = {
    RefundStatus.PROCESSING: _("The customer disputes the charge at the bank. It is not decided."),
    RefundStatus.SUCCEEDED: _("The customer won the dispute and has the money back."),
    RefundStatus.FAILED: _("The shop won the dispute and keeps the money."),
}
REFUND_HELP = {
    RefundStatus.REQUESTED: _("Waiting to be sent to the payment provider."),
    RefundStatus.PROCESSING: _("Sent to the payment provider. Awaiting its response."),
    RefundStatus.UNKNOWN: _("The payment provider hasn't responded. We retry automatically."),
    RefundStatus.SUCCEEDED: _("The refund is on its way to the customer."),
    RefundStatus.FAILED: _(
        "The payment provider declined the refund, and the customer received nothing. Refund the "
        "order again, or by other means."
    ),
}
