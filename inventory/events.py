"""Events of products and stock."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from oms.events.types import DomainEvent, event


@event("product.created")
class ProductCreated(DomainEvent):
    product_id: UUID
    sku: str
    name: str


@event("product.changed")
class ProductChanged(DomainEvent):
    """`changes` maps each changed field to its old and its new value."""

    product_id: UUID
    sku: str
    changes: dict[str, list[Any]]


@event("product.stock_adjusted")
class StockAdjusted(DomainEvent):
    product_id: UUID
    sku: str
    location: str
    reason: str
    on_hand_delta: int
    on_hand_after: int
    movement_id: UUID


@event("product.stock_ran_low")
class StockRanLow(DomainEvent):
    """The available stock has fallen to the threshold or below."""

    product_id: UUID
    sku: str
    name: str
    available: int
    threshold: int


@event("product.stock_allocated")
class StockAllocated(DomainEvent):
    """A quantity for which the order had waited is reserved for it now."""

    product_id: UUID
    order_id: UUID
    quantity: int


@event("product.stock_lost")
class StockLost(DomainEvent):
    """A quantity that was reserved for the order is no longer on hand anywhere; it waits again."""

    product_id: UUID
    order_id: UUID
    quantity: int


@event("product.became_available")
class ProductBecameAvailable(DomainEvent):
    """Some is available of a product of which none was: again, or for the first time."""

    product_id: UUID
    sku: str
    name: str
    available: int


@event("stock_document.created")
class StockDocumentCreated(DomainEvent):
    """A receipt, transfer or count; `from_location` is of transfers alone."""

    stock_document_id: UUID
    kind: str
    reference: str
    location: str
    from_location: str | None
    items: int


@event("location.created")
class LocationCreated(DomainEvent):
    location_id: UUID
    code: str
    name: str


@event("location.changed")
class LocationChanged(DomainEvent):
    """`changes` maps each changed field to its old and its new value."""

    location_id: UUID
    code: str
    changes: dict[str, list[Any]]
