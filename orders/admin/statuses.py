"""The colours of statuses, and what they mean for staff."""

from typing import Any

from django.utils.translation import gettext_lazy as _

from orders.states import (
    FulfilmentState,
    OrderStatus,
    PaymentState,
    ReturnStatus,
    ShipmentStatus,
)

STATUS_COLOURS: dict[str, str] = {
    OrderStatus.PENDING: "warning",
    OrderStatus.CONFIRMED: "info",
    OrderStatus.PROCESSING: "primary",
    OrderStatus.ON_HOLD: "warning",
    OrderStatus.SHIPPED: "success",
    OrderStatus.DELIVERED: "success",
    OrderStatus.CANCELLED: "danger",
    OrderStatus.EXPIRED: "",
}
STATUS_HELP: dict[str, Any] = {
    OrderStatus.PENDING: _(
        "Awaiting payment. If it isn't paid in time, the order expires and its stock is released."
    ),
    OrderStatus.CONFIRMED: _("Ready to pack and ship."),
    OrderStatus.PROCESSING: _("Being packed."),
    OrderStatus.ON_HOLD: _("Can't be shipped until it is released. Stock stays reserved."),
    OrderStatus.SHIPPED: _("All items have been shipped."),
    OrderStatus.DELIVERED: _("All items have been delivered."),
    OrderStatus.CANCELLED: _("Stock was released. Any payment is refunded."),
    OrderStatus.EXPIRED: _(
        "Not paid in time, so its stock was released. A late payment confirms the order again, or "
        "is refunded if stock has run out."
    ),
}
PAYMENT_COLOURS: dict[str, str] = {
    PaymentState.UNPAID: "",
    PaymentState.PROCESSING: "info",
    PaymentState.AUTHORIZED: "info",
    PaymentState.PARTIALLY_PAID: "warning",
    PaymentState.PAID: "success",
    PaymentState.FAILED: "danger",
    PaymentState.UNKNOWN: "warning",
    PaymentState.PARTIALLY_REFUNDED: "primary",
    PaymentState.REFUNDED: "primary",
}
# Only of those that need an explanation.
PAYMENT_HELP: dict[str, Any] = {
    PaymentState.AUTHORIZED: _("Authorised but not charged yet. Charged when it ships."),
    PaymentState.PARTIALLY_PAID: _("Less than the total was paid. The customer can pay the rest."),
    PaymentState.FAILED: _("The last payment was declined. The customer can try again."),
    PaymentState.UNKNOWN: _(
        "The payment provider hasn't responded. We retry automatically. Don't ask the customer to "
        "pay again."
    ),
}
FULFILMENT_COLOURS: dict[str, str] = {
    FulfilmentState.UNFULFILLED: "",
    FulfilmentState.PARTIALLY_SHIPPED: "info",
    FulfilmentState.SHIPPED: "success",
    FulfilmentState.DELIVERED: "success",
}
RETURN_COLOURS: dict[str, str] = {
    ReturnStatus.REQUESTED: "warning",
    ReturnStatus.APPROVED: "info",
    ReturnStatus.PARTIALLY_RECEIVED: "info",
    ReturnStatus.RECEIVED: "success",
    ReturnStatus.REJECTED: "danger",
    ReturnStatus.CANCELLED: "",
}
SHIPMENT_COLOURS: dict[str, str] = {
    ShipmentStatus.PENDING: "warning",
    ShipmentStatus.SHIPPED: "info",
    ShipmentStatus.DELIVERED: "success",
    ShipmentStatus.CANCELLED: "danger",
}
