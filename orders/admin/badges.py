"""The colours of the statuses."""

from orders.states import FulfilmentState, OrderStatus, PaymentState, ShipmentStatus

STATUS_COLOURS = {
    OrderStatus.PENDING.value: "warning",
    OrderStatus.CONFIRMED.value: "info",
    OrderStatus.PROCESSING.value: "primary",
    OrderStatus.ON_HOLD.value: "warning",
    OrderStatus.SHIPPED.value: "success",
    OrderStatus.DELIVERED.value: "success",
    OrderStatus.CANCELLED.value: "danger",
    OrderStatus.EXPIRED.value: "",
}
PAYMENT_STATE_COLOURS = {
    PaymentState.UNPAID.value: "",
    PaymentState.PROCESSING.value: "info",
    PaymentState.PAID.value: "success",
    PaymentState.FAILED.value: "danger",
    PaymentState.UNKNOWN.value: "warning",
    PaymentState.PARTIALLY_REFUNDED.value: "primary",
    PaymentState.REFUNDED.value: "primary",
}
FULFILMENT_COLOURS = {
    FulfilmentState.UNFULFILLED.value: "",
    FulfilmentState.PARTIALLY_SHIPPED.value: "info",
    FulfilmentState.SHIPPED.value: "success",
    FulfilmentState.DELIVERED.value: "success",
}
SHIPMENT_COLOURS = {
    ShipmentStatus.PENDING.value: "warning",
    ShipmentStatus.SHIPPED.value: "info",
    ShipmentStatus.DELIVERED.value: "success",
    ShipmentStatus.CANCELLED.value: "danger",
}
