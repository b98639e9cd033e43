"""What is asked of placing, and what comes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TypeAlias
from uuid import UUID

from oms.core.actor import Actor
from oms.core.errors import OperationError
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


@dataclass(frozen=True, kw_only=True)
class OrderedItem:
    """That many pieces of a product."""

    product_id: UUID
    quantity: int


@dataclass(frozen=True, kw_only=True)
class PaymentChoice:
    """How the customer pays: a provider, and the provider's token for the customer's means."""

    provider: str
    token: str


@dataclass(frozen=True, kw_only=True)
class Placement:
    """What a customer wants to order.

    `shipping_address` maps name, line1, line2, city, postal_code, region and country to strings.
    """

    customer_id: UUID
    items: Sequence[OrderedItem]
    shipping_address: dict[str, str]
    payment: PaymentChoice | None = None
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Placed:
    """An order that was just placed, with its items, as they were saved."""

    order: NewOrder
    items: tuple[NewItem, ...]


Outcome: TypeAlias = Placed | OperationError


@dataclass(frozen=True, kw_only=True)
class PlacingCall:
    """What one caller asks for; with `all_or_nothing` one refusal is enough to place nothing."""

    actor: Actor
    placements: Sequence[Placement]
    all_or_nothing: bool = False
