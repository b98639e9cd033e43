"""Named reads of products and stock."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, TypedDict
from uuid import UUID

from django.db.models import F, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce

from inventory.models import MovementKind, Product, StockLevel, StockMovement
from oms.core.actor import Actor, ActorKind
from oms.core.errors import NotFound

if TYPE_CHECKING:
    from django_stubs_ext import WithAnnotations

    class _Stock(TypedDict):
        available: int

    StockedProduct = WithAnnotations[Product, _Stock]


def products_visible_to(*, actor: Actor) -> QuerySet[StockedProduct]:
    """The products that `actor` may see, each with `available`; inactive ones only for staff.

    `available` is what can still be promised at all locations together, below zero where more is
    promised than there is. It is computed for the rows of a page alone.
    """
    products = _with_available(Product.objects.all())
    if actor.kind in (ActorKind.STAFF, ActorKind.SYSTEM):
        return products
    return products.filter(is_active=True)


def find_product(*, actor: Actor, product_id: UUID) -> StockedProduct:
    """The product with its `available`. Raises NotFound."""
    product = products_visible_to(actor=actor).filter(pk=product_id).first()
    if product is None:
        raise NotFound
    return product


@dataclass(frozen=True, kw_only=True)
class LocationStock:
    """The pieces of a product at one location."""

    code: str
    on_hand: int
    reserved: int
    available: int


@dataclass(frozen=True, kw_only=True)
class ProductStock:
    """The pieces of a product, in all and at each location by priority."""

    product_id: UUID
    sku: str
    available: int
    in_stock: bool
    updated_at: datetime
    on_hand: int
    reserved: int
    low_stock_threshold: int
    is_low_stock: bool
    locations: Sequence[LocationStock]


def stock_of_product(*, actor: Actor, product_id: UUID) -> ProductStock:
    """The stock of a product that `actor` may see. Raises NotFound."""
    product = find_product(actor=actor, product_id=product_id)
    levels = (
        StockLevel.objects.filter(product=product_id)
        .select_related("location")
        .order_by("location__priority", "location__code")
    )
    locations = [
        LocationStock(
            code=level.location.code,
            on_hand=level.on_hand,
            reserved=level.reserved,
            available=level.available,
        )
        for level in levels
    ]
    available = sum(location.available for location in locations)
    return ProductStock(
        product_id=product.id,
        sku=product.sku,
        available=available,
        in_stock=available > 0,
        updated_at=max((level.updated_at for level in levels), default=product.updated_at),
        on_hand=sum(location.on_hand for location in locations),
        reserved=sum(location.reserved for location in locations),
        low_stock_threshold=product.low_stock_threshold,
        is_low_stock=available <= product.low_stock_threshold,
        locations=locations,
    )


def low_stock_products() -> QuerySet[StockedProduct]:
    """The products whose `available` is at or below their threshold; in no order yet."""
    return _with_available(Product.objects.all()).filter(available__lte=F("low_stock_threshold"))


def stock_movements() -> QuerySet[StockMovement]:
    """The ledger with its products and locations; in no order yet."""
    return StockMovement.objects.select_related("product", "location")


def _with_available(products: QuerySet[Product]) -> QuerySet[StockedProduct]:
    # A subquery by the index of (product, location), not a join: a page of a filtered list then
    # sums up the levels of its own products and of no others.
    available = (
        StockLevel.objects.filter(product=OuterRef("pk"))
        .order_by()
        .values("product")
        .annotate(pieces=Sum(F("on_hand") - F("reserved")))
        .values("pieces")
    )
    return products.annotate(available=Coalesce(Subquery(available), 0))


def pieces_reserved_for(order_ids: Iterable[UUID]) -> dict[UUID, dict[tuple[UUID, UUID], int]]:
    """For each order the pieces, by product and location, promised to it that have not left."""
    return _summed(order_ids, "reserved_delta", Q(), sign=1)


def pieces_shipped_for(order_ids: Iterable[UUID]) -> dict[UUID, dict[tuple[UUID, UUID], int]]:
    """For each order the pieces, by product and location, that left and have not come back."""
    kinds = Q(kind__in=(MovementKind.SHIP, MovementKind.RETURN))
    return _summed(order_ids, "on_hand_delta", kinds, sign=-1)


def _summed(
    order_ids: Iterable[UUID], field: str, kinds: Q, *, sign: int
) -> dict[UUID, dict[tuple[UUID, UUID], int]]:
    pieces: dict[UUID, dict[tuple[UUID, UUID], int]] = {id: {} for id in order_ids}
    rows = (
        StockMovement.objects.filter(kinds, order_id__in=list(pieces))
        .values_list("order_id", "product_id", "location_id")
        .annotate(pieces=Sum(field))
        .order_by()
    )
    for order_id, product_id, location_id, total in rows:
        if order_id is not None and total:
            pieces[order_id][product_id, location_id] = sign * total
    return pieces
