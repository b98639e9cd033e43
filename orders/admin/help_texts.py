"""What the states of an order mean for whoever has to act on it."""

from django.utils.translation import gettext_lazy as _

from orders.states import OrderStatus, PaymentState

STATUS_MEANINGS = {
    OrderStatus.PENDING.value: _(
        "It waits for its payment. When its time runs out it expires, and its stock is free again."
    ),
    OrderStatus.CONFIRMED.value: _("It is ready to be packed and shipped."),
    OrderStatus.PROCESSING.value: _("It is being packed."),
    OrderStatus.ON_HOLD.value: _(
        "Nothing is shipped until somebody releases it; its stock stays reserved."
    ),
    OrderStatus.SHIPPED.value: _("All of it is on its way to the customer."),
    OrderStatus.DELIVERED.value: _("It has arrived."),
    OrderStatus.CANCELLED.value: _(
        "It will not be shipped; its stock is free, and what was paid goes back."
    ),
    OrderStatus.EXPIRED.value: _(
        "Nobody paid in time, so its stock is free. Money that comes late confirms it again, or "
        "goes back if the stock is gone."
    ),
}
# Only of those that need a word.
PAYMENT_MEANINGS = {
    PaymentState.FAILED.value: _("The last attempt was declined; the customer may try again."),
    PaymentState.UNKNOWN.value: _(
        "The provider has not answered. It is asked again by itself until it does, so the customer "
        "must not pay a second time."
    ),
}
