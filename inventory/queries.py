"""Named reads of products and stock."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple, TypedDict
from uuid import UUID

from django.db.models import F, OuterRef, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce

from inventory.models import (
    DocumentKind,
    Location,
    MovementKind,
    Product,
    StockDocument,
    StockLevel,
    StockMovement,
)
from oms.core.actor import Actor
from oms.core.errors import NotFound
from oms.core.permissions import Permission
from oms.db.pipeline import Pipeline, Result, execute

if TYPE_CHECKING:
    from django_stubs_ext import WithAnnotations

    class _Stock(TypedDict):
        available: int

    StockedProduct = WithAnnotations[Product, _Stock]

# The cache version (oms/core/cache_versions.py) of all products' own columns, without stock.
CATALOGUE = "catalogue"


class ProductRow(NamedTuple):
    """A product without its stock, as a plain row."""

    id: UUID
    sku: str
    name: str
    description: str
    category: str
    price: Decimal
    currency: str
    is_active: bool
    version: int
    created_at: datetime
    updated_at: datetime
    low_stock_threshold: int
    backorderable: bool


_PRODUCTS = f"SELECT {', '.join(ProductRow._fields)} FROM inventory_product WHERE id = ANY(%s)"  # noqa: S608

# One row with one array, in the order of the parameter: nothing to look up afterwards.
_AVAILABLE = """
    SELECT array_agg(COALESCE(stock.available, 0) ORDER BY wanted.number)
    FROM unnest(%s::text::uuid[]) WITH ORDINALITY AS wanted (id, number)
    LEFT JOIN LATERAL (
        SELECT SUM(on_hand - reserved)::bigint AS available
        FROM inventory_stocklevel WHERE product_id = wanted.id
    ) AS stock ON true
"""


def products_visible_to(*, actor: Actor) -> QuerySet[Product]:
    """The products that `actor` may see; inactive ones only for those who `sees_inactive` names.

    What is available of them is read by `available_of`: it changes with each order, and the
    products hardly ever.
    """
    products = Product.objects.all()
    return products if sees_inactive(actor) else products.filter(is_active=True)


def products_in_stock(products: QuerySet[Product], *, in_stock: bool) -> QuerySet[Product]:
    """The products with or without available stock."""
    stocked = products.alias(available=_available())
    return stocked.filter(available__gt=0) if in_stock else stocked.filter(available__lte=0)


def available_of(product_ids: Iterable[UUID]) -> list[int]:
    """The available quantity of each product at all locations together, in their order.

    Below zero where more is reserved than there is.
    """
    return available_of_text(ids_as_text(product_ids))


def ids_as_text(product_ids: Iterable[UUID]) -> str:
    """The ids with commas between them, for `available_of_text`."""
    return ",".join(map(str, product_ids))


def available_of_text(ids: str) -> list[int]:
    """The same as `available_of`, for callers who keep such texts.

    As a parameter a text costs a third of an array of UUIDs.
    """
    if not ids:
        return []
    [[available]] = execute(_AVAILABLE, [f"{{{ids}}}"]).rows()
    return list(available)


def query_products(
    product_ids: Iterable[UUID], *, pipeline: Pipeline | None = None
) -> Result[ProductRow]:
    """The existing products with those ids, regardless of visibility."""
    return execute(_PRODUCTS, [list(product_ids)], make=ProductRow._make, pipeline=pipeline)


def visible_product(product: ProductRow | None, *, actor: Actor) -> ProductRow:
    """The product. Raises NotFound if there is none or the actor may not see it."""
    if product is None or not (product.is_active or sees_inactive(actor)):
        raise NotFound
    return product


def sees_inactive(actor: Actor) -> bool:
    """Whether `actor` may see products that are not on sale, and what staff see of all.

    Those who edit products, and those who look after the stock.
    """
    return actor.may(Permission.STOCK_VIEW) or actor.may(Permission.PRODUCTS_EDIT)


def find_product(*, actor: Actor, product_id: UUID) -> ProductRow:
    """The product. Raises NotFound if there is none that `actor` may see."""
    products = query_products([product_id]).rows()
    return visible_product(products[0] if products else None, actor=actor)


@dataclass(frozen=True, kw_only=True)
class LocationStock:
    """The stock of a product at one location."""

    code: str
    on_hand: int
    reserved: int
    available: int


@dataclass(frozen=True, kw_only=True)
class ProductStock:
    """The stock of a product, in total and at each location by priority."""

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
    updated_at = max((level.updated_at for level in levels), default=product.updated_at)
    return summed_stock(product, locations, updated_at=updated_at)


def summed_stock(
    product: ProductRow, locations: Sequence[LocationStock], *, updated_at: datetime
) -> ProductStock:
    """The stock of the product at its locations, with the totals."""
    available = sum(location.available for location in locations)
    return ProductStock(
        product_id=product.id,
        sku=product.sku,
        available=available,
        in_stock=available > 0,
        updated_at=updated_at,
        on_hand=sum(location.on_hand for location in locations),
        reserved=sum(location.reserved for location in locations),
        low_stock_threshold=product.low_stock_threshold,
        is_low_stock=available <= product.low_stock_threshold,
        locations=locations,
    )


def low_stock_products(*, actor: Actor) -> QuerySet[StockedProduct]:
    """The products whose `available` is at or below their threshold; in no order yet.

    Raises PermissionDenied.
    """
    actor.require(Permission.STOCK_VIEW)
    return Product.objects.annotate(available=_available()).filter(
        available__lte=F("low_stock_threshold")
    )


def location_choices() -> list[tuple[str, str]]:
    """The code and the name of each location, by priority."""
    return list(Location.objects.order_by("priority", "code").values_list("code", "name"))


def stock_movements(*, actor: Actor) -> QuerySet[StockMovement]:
    """The ledger with its products and locations; in no order yet. Raises PermissionDenied."""
    actor.require(Permission.STOCK_VIEW)
    return StockMovement.objects.select_related("product", "location")


def stock_documents(*, actor: Actor, kind: DocumentKind) -> QuerySet[StockDocument]:
    """The receipts, transfers or counts with their locations, and without their items.

    In no order yet. Raises PermissionDenied.
    """
    actor.require(Permission.STOCK_VIEW)
    documents = StockDocument.objects.filter(kind=kind)
    return documents.select_related("location", "from_location")


def stock_document(*, actor: Actor, kind: DocumentKind, id: UUID) -> StockDocument:
    """The receipt, transfer or count with its items. Raises PermissionDenied and NotFound."""
    documents = stock_documents(actor=actor, kind=kind).prefetch_related("items__product")
    document = documents.filter(pk=id).first()
    if document is None:
        raise NotFound
    return document


def _available() -> Coalesce:
    # A subquery by the index of (product, location), not a join: a page of a filtered list then
    # sums up the levels of its own products and of no others.
    available = (
        StockLevel.objects.filter(product=OuterRef("pk"))
        .order_by()
        .values("product")
        .annotate(quantity=Sum(F("on_hand") - F("reserved")))
        .values("quantity")
    )
    return Coalesce(Subquery(available), 0)


def shipped_quantities_of(order_ids: Iterable[UUID]) -> dict[UUID, dict[tuple[UUID, UUID], int]]:
    """For each order the quantities, by product and location, shipped and not returned."""
    quantities: dict[UUID, dict[tuple[UUID, UUID], int]] = {id: {} for id in order_ids}
    rows = (
        StockMovement.objects.filter(
            kind__in=(MovementKind.SHIP, MovementKind.RETURN), order_id__in=list(quantities)
        )
        .values_list("order_id", "product_id", "location_id")
        .annotate(total=Sum("on_hand_delta"))
        .order_by()
    )
    for order_id, product_id, location_id, total in rows:
        if order_id is not None and total:
            quantities[order_id][product_id, location_id] = -total
    return quantities
