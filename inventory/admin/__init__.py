"""The back office of products, stock and locations."""

from inventory.admin.ledger import StockMovementAdmin
from inventory.admin.locations import LocationAdmin
from inventory.admin.products import ProductAdmin

__all__ = ["LocationAdmin", "ProductAdmin", "StockMovementAdmin"]
