"""Writing new orders past the ORM: one statement for each table, however many there are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.db import DEFAULT_DB_ALIAS, models

from oms.core.db import insert_rows, transaction_required
from orders.models import Order, OrderItem

_ORDER_COLUMNS = (
    "id",
    "number",
    "customer",
    "status",
    "payment_status",
    "fulfilment_status",
    "currency",
    "total",
    "shipping_address",
    "note",
    "placed_at",
    "expires_at",
    "confirmed_at",
    "updated_at",
    "version",
)
_ITEM_COLUMNS = (
    "id",
    "order",
    "product",
    "position",
    "sku",
    "name",
    "quantity",
    "unit_price",
    "line_total",
    "quantity_shipped",
    "quantity_returned",
)


@transaction_required
def insert_orders(orders: Sequence[Order]) -> None:
    """Write new orders with one statement, and let them count as saved."""
    insert_rows(
        Order,
        _ORDER_COLUMNS,
        [
            (
                order.id,
                order.number,
                order.customer_id,
                order.status,
                order.payment_status,
                order.fulfilment_status,
                order.currency,
                order.total,
                order.shipping_address,
                order.note,
                order.placed_at,
                order.expires_at,
                order.confirmed_at,
                order.updated_at,
                order.version,
            )
            for order in orders
        ],
    )
    _count_as_saved(orders)


@transaction_required
def insert_items(items: Sequence[OrderItem]) -> None:
    """The same for their items."""
    insert_rows(
        OrderItem,
        _ITEM_COLUMNS,
        [
            (
                item.id,
                item.order_id,
                item.product_id,
                item.position,
                item.sku,
                item.name,
                item.quantity,
                item.unit_price,
                item.line_total,
                0,
                0,
            )
            for item in items
        ],
    )
    _count_as_saved(items)


def _count_as_saved(rows: Iterable[models.Model]) -> None:
    """Let a later `save` update the rows; the ORM would take them for new ones."""
    for row in rows:
        row._state.adding = False
        row._state.db = DEFAULT_DB_ALIAS
