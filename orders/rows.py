"""Orders and their items as plain rows, in the form in which they are shown and inserted."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from orders.rules import OrderRules


class _OrderColumns(NamedTuple):
    id: UUID
    number: str
    customer_id: UUID
    status: str
    payment_status: str
    fulfilment_status: str
    currency: str
    total: Decimal
    shipping_address: dict[str, str]
    billing_address: dict[str, str] | None
    note: str
    internal_note: str
    reference: str | None
    metadata: Mapping[str, str]
    language: str
    placed_at: datetime
    expires_at: datetime | None
    confirmed_at: datetime | None
    updated_at: datetime
    version: int


class OrderRow(OrderRules, _OrderColumns):
    """An order, by the columns of its table."""

    __slots__ = ()


class ItemRow(NamedTuple):
    """An item of an order, by the columns of its table; amounts are texts with exactly the
    decimals of the order's currency."""

    id: UUID
    product_id: UUID
    sku: str
    name: str
    quantity: int
    unit_price: str
    line_total: str
    quantity_waiting: int
    quantity_shipped: int
    quantity_returned: int
    quantity_cancelled: int
