"""The input and the result of placing orders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias
from uuid import UUID

from oms.core.actor import Actor
from oms.core.errors import Invalid, OperationError
from orders.rows import ItemRow, OrderRow


@dataclass(frozen=True, kw_only=True)
class OrderedItem:
    """A product and a quantity."""

    product_id: UUID
    quantity: int


class Reference(NamedTuple):
    """A customer's own number of an order."""

    customer_id: UUID
    text: str


@dataclass(frozen=True, kw_only=True)
class PaymentChoice:
    """A payment provider, and its token for the customer's means of payment."""

    provider: str
    token: str


@dataclass(frozen=True, kw_only=True)
class Placement:
    """An order to be placed.

    `shipping_address` maps name, line1, line2, city, postal_code, region and country to strings,
    and so does `billing_address`. The customer has each `reference` only once. `language` is a
    language tag, "" for the shop's own.
    """

    customer_id: UUID
    items: Sequence[OrderedItem]
    shipping_address: dict[str, str]
    payment: PaymentChoice | None = None
    note: str = ""
    billing_address: dict[str, str] | None = None
    internal_note: str = ""
    reference: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    language: str = ""


@dataclass(frozen=True, kw_only=True)
class Placed:
    """An order that was placed, with its items in their order."""

    order: OrderRow
    items: tuple[ItemRow, ...]


Outcome: TypeAlias = Placed | OperationError


@dataclass(frozen=True, kw_only=True)
class PlacingCall:
    """The placements of one caller; with `all_or_nothing` one rejection rejects them all.

    In the place of one that was invalid is its error.
    """

    actor: Actor
    placements: Sequence[Placement | Invalid]
    all_or_nothing: bool = False
