"""Writing new orders past the ORM: one statement for each table, however many there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from operator import attrgetter
from typing import Any

from oms.db.bulk_writes import insert_rows
from oms.db.transactions import transaction_required
from orders.models import Order, OrderItem
from orders.placements import NewItem, NewOrder


def _columns(row_class: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(row_class))


_ORDER_COLUMNS, _ITEM_COLUMNS = _columns(NewOrder), _columns(NewItem)
_order_values, _item_values = attrgetter(*_ORDER_COLUMNS), attrgetter(*_ITEM_COLUMNS)


@transaction_required
def insert_orders(orders: Sequence[NewOrder]) -> None:
    """Write new orders with one statement."""
    insert_rows(Order, _ORDER_COLUMNS, map(_order_values, orders))


@transaction_required
def insert_items(items: Sequence[NewItem]) -> None:
    """Write the items of new orders with one statement."""
    insert_rows(OrderItem, _ITEM_COLUMNS, map(_item_values, items))
