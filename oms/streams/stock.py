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
_NUMBER_CHANGED = f"SELECT count(*) FROM ({_CHANGED}) AS changed"  # noqa: S608
_NEXT_CHANGED = f"""
    SELECT product_id FROM ({_CHANGED}) AS changed
    WHERE product_id > %s ORDER BY product_id LIMIT %s
"""  # noqa: S608


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


def number_changed_since(position: UUID) -> int:
    """How many products' stock has changed since that position; looks through all of them."""
    at = creation_time_of(position) - _DELAY
    [[number]] = execute(_NUMBER_CHANGED, [at, at], prepared=False).rows()
    return int(number)


def states_since(
    position: UUID, *, beyond: UUID, limit: int
) -> tuple[list[ProductState], UUID | None]:
    """The present states of what has changed since that position, in pages by the products' ids.

    `beyond` is the last id of the page before. Returns that of this page too, None at the end.
    """
    at = creation_time_of(position) - _DELAY
    found = execute(_NEXT_CHANGED, [at, at, beyond, limit], prepared=False).rows()
    ids = [id for (id,) in found]
    return states_of(ids), ids[-1] if len(ids) == limit else None
