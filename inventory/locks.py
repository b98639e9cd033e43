"""The only place that locks inventory's rows, always sorted and in one statement."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from inventory.models import Location, Product, StockDocument
from oms.db.pipeline import Pipeline, Result, execute
from oms.db.transactions import transaction_required


@dataclass(slots=True)
class LockedLevel:
    """A locked stock level with columns of its product and location, in the statement's order."""

    id: UUID
    product_id: UUID
    location_id: UUID
    on_hand: int
    reserved: int
    backorderable: bool
    priority: int
    location_code: str
    sku: str
    name: str
    price: Decimal
    currency: str
    is_active: bool
    low_stock_threshold: int

    @property
    def available(self) -> int:
        return self.on_hand - self.reserved


# Raw, because this is the hottest statement of the project: one round trip for the locks and for
# what placing needs of the products. The sort comes before the locks.
_LOCK = """
    SELECT level.id, level.product_id, level.location_id, level.on_hand, level.reserved,
           product.backorderable, location.priority, location.code, product.sku, product.name,
           product.price, product.currency, product.is_active, product.low_stock_threshold
    FROM inventory_stocklevel AS level
    JOIN inventory_product AS product ON product.id = level.product_id
    JOIN inventory_location AS location ON location.id = level.location_id
    WHERE {products}
    ORDER BY level.product_id, level.location_id
    FOR NO KEY UPDATE OF level
"""
_LOCK_LEVELS = _LOCK.format(products="level.product_id = ANY(%s)")
# Nothing joins or leaves what an order holds and waits for while the order is locked: others only
# move it between the two.
_LOCK_LEVELS_OF_ORDERS = _LOCK.format(
    products="""level.product_id IN (
        SELECT product_id FROM inventory_stockmovement WHERE order_id = ANY(%s)
        UNION ALL
        SELECT product_id FROM inventory_waitingitem WHERE order_id = ANY(%s)
    )"""
)


@transaction_required
def lock_stock_levels(
    product_ids: Iterable[UUID], *, pipeline: Pipeline | None = None
) -> Result[LockedLevel]:
    """All levels of the products, locked, sorted by product id and location id.

    In a `pipeline` they are locked when it is sent.
    """
    return execute(_LOCK_LEVELS, [sorted(set(product_ids))], make=_locked_level, pipeline=pipeline)


@transaction_required
def lock_levels_of_orders(order_ids: Iterable[UUID]) -> list[LockedLevel]:
    """The levels of all products that the locked orders hold or wait for, in the same order."""
    ids = list(order_ids)
    # Planned for their number, which is one or a hundred.
    found = execute(_LOCK_LEVELS_OF_ORDERS, [ids, ids], make=_locked_level, prepared=False)
    return found.rows()


def _locked_level(values: tuple[Any, ...]) -> LockedLevel:
    return LockedLevel(*values)


@transaction_required
def lock_location(location_id: UUID) -> Location | None:
    """The locked location, or None."""
    return Location.objects.select_for_update(no_key=True).filter(pk=location_id).first()


@transaction_required
def lock_product(product_id: UUID) -> Product | None:
    """The locked product, or None."""
    return Product.objects.select_for_update(no_key=True).filter(pk=product_id).first()


@transaction_required
def lock_stock_document(**key: Any) -> StockDocument:
    """The locked stock document with those unique values, and its locations."""
    return (
        StockDocument.objects.select_for_update(no_key=True, of=("self",))
        .select_related("location", "from_location")
        .get(**key)
    )
