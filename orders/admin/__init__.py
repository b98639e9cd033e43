"""The back office of orders: to be read, and taken on by the steps that each allows."""

from orders.admin.orders import OrderAdmin
from orders.admin.shipments import ShipmentAdmin

__all__ = ["OrderAdmin", "ShipmentAdmin"]
