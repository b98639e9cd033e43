"""Orders with their items, shipments, cancellations, returns and refunded items."""

from orders.models.cancellation import Cancellation, CancellationItem
from orders.models.order import Order, OrderItem
from orders.models.refund import RefundItem
from orders.models.returns import OrderReturn, ReturnItem, ReturnReceipt, ReturnReceiptItem
from orders.models.shipment import Shipment, ShipmentItem

__all__ = [
    "Cancellation",
    "CancellationItem",
    "Order",
    "OrderItem",
    "OrderReturn",
    "RefundItem",
    "ReturnItem",
    "ReturnReceipt",
    "ReturnReceiptItem",
    "Shipment",
    "ShipmentItem",
]
