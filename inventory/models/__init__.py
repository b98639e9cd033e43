"""Products and their stock, stock documents, and customers who wait for a product."""

from inventory.models.alerts import StockAlert
from inventory.models.documents import DocumentKind, StockDocument, StockDocumentItem
from inventory.models.stock import (
    MAX_QUANTITY,
    Location,
    MovementKind,
    Product,
    StockLevel,
    StockMovement,
    WaitingItem,
)

__all__ = [
    "MAX_QUANTITY",
    "DocumentKind",
    "Location",
    "MovementKind",
    "Product",
    "StockAlert",
    "StockDocument",
    "StockDocumentItem",
    "StockLevel",
    "StockMovement",
    "WaitingItem",
]
