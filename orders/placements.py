"""The input and the result of placing orders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias
from uuid import UUID

from oms.core.actor import Actor
from oms.core.errors import OperationError
from orders.rows import ItemRow, OrderRow


@dataclass(frozen=True, kw_only=True)
class OrderedItem:
    """A product and a quantity."""

    product_id: UUID
    quantity: int


@dataclass(frozen=True, kw_only=True)
class PaymentChoice:
    """A payment provider, and its token for the customer's means of payment."""

    provider: str
    token: str


@dataclass(frozen=True, kw_only=True)
class Placement:
    """An order to be placed.

    `shipping_address` maps name, line1, line2, city, postal_code, region and country to strings.
    """

    customer_id: UUID
    items: Sequence[OrderedItem]
    shipping_address: dict[str, str]
    payment: PaymentChoice | None = None
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Placed:
    """An order that was placed, with its items in their order."""

    order: OrderRow
    items: tuple[ItemRow, ...]


Outcome: TypeAlias = Placed | OperationError


@dataclass(frozen=True, kw_only=True)
class PlacingCall:
    """The placements of one caller; with `all_or_nothing` one rejection rejects them all."""

    actor: Actor
    placements: Sequence[Placement]
    all_or_nothing: bool = False
