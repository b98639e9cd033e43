"""The back office of orders: read-only pages with the actions that each order allows."""

from orders.admin.orders import OrderAdmin
from orders.admin.returns import OrderReturnAdmin
from orders.admin.shipments import ShipmentAdmin

__all__ = ["OrderAdmin", "OrderReturnAdmin", "ShipmentAdmin"]
