"""Writing new orders past the ORM: one statement for each table, however many there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from operator import attrgetter
from typing import Any
from uuid import UUID

from oms.core.db import transaction_required
from oms.core.writing import insert_rows
from orders.models import Order, OrderItem
from orders.rules import OrderRules
from orders.states import FulfilmentState, OrderStatus, PaymentState


@dataclass(kw_only=True, slots=True)
class NewOrder(OrderRules):
    """An order that is about to be saved, with the columns of the model."""

    id: UUID
    number: str
    customer_id: UUID
    status: OrderStatus
    payment_status: PaymentState
    fulfilment_status: FulfilmentState = FulfilmentState.UNFULFILLED
    currency: str
    total: Decimal
    shipping_address: dict[str, str]
    note: str
    placed_at: datetime
    expires_at: datetime | None
    confirmed_at: datetime | None
    updated_at: datetime
    version: int = 1


@dataclass(kw_only=True, slots=True)
class NewItem:
    """An item of an order that is about to be saved, with the columns of the model."""

    id: UUID
    order_id: UUID
    product_id: UUID
    position: int
    sku: str
    name: str
    quantity: int
    unit_price: Decimal
    line_total: Decimal
    quantity_shipped: int = 0
    quantity_returned: int = 0


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
