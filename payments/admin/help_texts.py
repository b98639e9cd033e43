"""What the states of payments and refunds look like, and mean for whoever asks about the money."""

from django.utils.translation import gettext_lazy as _

from payments.states import PaymentStatus, RefundStatus

PAYMENT_COLOURS = {
    PaymentStatus.CREATED.value: "",
    PaymentStatus.PROCESSING.value: "info",
    PaymentStatus.UNKNOWN.value: "warning",
    PaymentStatus.AUTHORIZED.value: "primary",
    PaymentStatus.CAPTURED.value: "success",
    PaymentStatus.FAILED.value: "danger",
    PaymentStatus.VOIDED.value: "",
}
REFUND_COLOURS = {
    RefundStatus.REQUESTED.value: "",
    RefundStatus.PROCESSING.value: "info",
    RefundStatus.UNKNOWN.value: "warning",
    RefundStatus.SUCCEEDED.value: "success",
    RefundStatus.FAILED.value: "danger",
}

PAYMENT_MEANINGS = {
    PaymentStatus.CREATED.value: _("A worker is about to ask the provider for the money."),
    PaymentStatus.PROCESSING.value: _("The provider was asked and has not answered yet."),
    PaymentStatus.UNKNOWN.value: _(
        "No answer came. The provider is asked again by itself what became of it; until it says, "
        "the customer may have been charged."
    ),
    PaymentStatus.AUTHORIZED.value: _("The bank has set the money aside; it is not ours yet."),
    PaymentStatus.CAPTURED.value: _("The money is ours."),
    PaymentStatus.FAILED.value: _("Nothing was taken. The customer may try again."),
    PaymentStatus.VOIDED.value: _("The money that was set aside was let go; nothing was taken."),
}
REFUND_MEANINGS = {
    RefundStatus.REQUESTED.value: _("A worker is about to ask the provider to give it back."),
    RefundStatus.PROCESSING.value: _("The provider was asked and has not answered yet."),
    RefundStatus.UNKNOWN.value: _(
        "No answer came. The provider is asked again by itself until it says what became of it."
    ),
    RefundStatus.SUCCEEDED.value: _("The money is on its way back to the customer."),
    RefundStatus.FAILED.value: _(
        "The provider refused it, and the customer has got nothing back: refund the order again, "
        "or by another way."
    ),
}
