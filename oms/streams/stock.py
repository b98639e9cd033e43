"""The stock of products as everybody may see it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import timedelta
from uuid import UUID

import msgspec

from oms.core.ids import creation_time_of
from oms.db.pipeline import execute
from oms.streams.feed import FeedEvent

# By how much the stock of a product may be sent later than the change, with the longest that a
# transaction may take.
_DELAY = timedelta(seconds=30)
_OF_ORDERS = """
    SELECT DISTINCT product_id FROM inventory_stockmovement WHERE order_id = ANY(%s::text[]::uuid[])
"""
_STATES = """
    SELECT id, sku, COALESCE((
        SELECT SUM(on_hand - reserved)::bigint FROM inventory_stocklevel
        WHERE product_id = product.id
    ), 0)
    FROM inventory_product AS product WHERE id = ANY(%s) AND is_active
"""
_CHANGED = """
    SELECT DISTINCT product_id FROM inventory_stocklevel WHERE updated_at >= %s
    UNION SELECT id FROM inventory_product WHERE updated_at >= %s
"""


class ProductState(msgspec.Struct, frozen=True):
    """What of a product can be ordered now, at all locations together."""

    product_id: UUID
    sku: str
    available: int
    in_stock: bool


def may_change_stock(event: FeedEvent) -> bool:
    """Whether `products_of` has something to find for the event."""
    return event.type.startswith(("order.", "return.", "product."))


def products_of(events: Iterable[FeedEvent]) -> set[UUID]:
    """The products whose stock these events may have changed."""
    orders: set[str] = set()
    products: set[UUID] = set()
    for event in events:
        if event.type.startswith("product."):
            products.add(event.object_id)
        elif event.order_id is not None:
            orders.add(event.order_id)
    if orders:
        rows = execute(_OF_ORDERS, [list(orders)], prepared=False).rows()
        products.update(id for (id,) in rows)
    return products


def states_of(product_ids: Collection[UUID]) -> list[ProductState]:
    """The present states of those of the products that are on sale."""
    if not product_ids:
        return []
    rows = execute(_STATES, [list(product_ids)], prepared=False).rows()
    return [
        ProductState(product_id=id, sku=sku, available=available, in_stock=available > 0)
        for id, sku, available in rows
    ]


def products_changed_since(position: UUID) -> list[UUID]:
    """The products whose stock has changed since that position; looks through all of them."""
    at = creation_time_of(position) - _DELAY
    return [id for (id,) in execute(_CHANGED, [at, at], prepared=False).rows()]


def states_since(position: UUID, product_id: UUID | None) -> list[ProductState]:
    """The present states of what has changed since that position; or of the one product."""
    return states_of(products_changed_since(position) if product_id is None else [product_id])
