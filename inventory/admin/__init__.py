"""The back office of products, stock and locations."""

from inventory.admin.alerts import StockAlertAdmin
from inventory.admin.documents import StockDocumentAdmin
from inventory.admin.locations import LocationAdmin
from inventory.admin.movements import StockMovementAdmin
from inventory.admin.products import ProductAdmin

__all__ = [
    "LocationAdmin",
    "ProductAdmin",
    "StockAlertAdmin",
    "StockDocumentAdmin",
    "StockMovementAdmin",
]
