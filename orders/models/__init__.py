"""Orders with their items, and shipments."""

from orders.models.order import Order, OrderItem
from orders.models.shipment import Shipment, ShipmentItem

__all__ = ["Order", "OrderItem", "Shipment", "ShipmentItem"]
