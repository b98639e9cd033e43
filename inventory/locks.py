"""The only place that locks inventory's rows, always sorted and in one statement."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from inventory.models import Location, Product
from oms.db.pipeline import ask
from oms.db.transactions import transaction_required


@dataclass(kw_only=True, slots=True)
class LockedLevel:
    """A stock level under lock, with what is needed of its product and location."""

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


# Raw, because this is the hottest statement of the project: the locked rows and all that a placing
# needs to know of their products arrive in one round trip. The sort comes before the locks.
_LOCK_LEVELS = """
    SELECT level.id, level.product_id, level.location_id, level.on_hand, level.reserved,
           level.backorderable, location.priority, location.code, product.sku, product.name,
           product.price, product.currency, product.is_active, product.low_stock_threshold
    FROM inventory_stocklevel AS level
    JOIN inventory_product AS product ON product.id = level.product_id
    JOIN inventory_location AS location ON location.id = level.location_id
    WHERE level.product_id = ANY(%s)
    ORDER BY level.product_id, level.location_id
    FOR NO KEY UPDATE OF level
"""


@transaction_required
def locking_stock_levels(product_ids: Iterable[UUID]) -> Callable[[], Sequence[LockedLevel]]:
    """Ask for all levels of the products, locked, sorted by product id and location id.

    They are fetched by calling what is returned, so that a pipeline can send more in between.
    """
    asked = ask(_LOCK_LEVELS, [sorted(set(product_ids))])

    def fetched() -> Sequence[LockedLevel]:
        return [
            LockedLevel(
                id=row[0],
                product_id=row[1],
                location_id=row[2],
                on_hand=row[3],
                reserved=row[4],
                backorderable=row[5],
                priority=row[6],
                location_code=row[7],
                sku=row[8],
                name=row[9],
                price=row[10],
                currency=row[11],
                is_active=row[12],
                low_stock_threshold=row[13],
            )
            for row in asked.rows()
        ]

    return fetched


def lock_stock_levels(product_ids: Iterable[UUID]) -> Sequence[LockedLevel]:
    """All levels of the products, locked, sorted by product id and location id."""
    return locking_stock_levels(product_ids)()


@transaction_required
def lock_location(location_id: UUID) -> Location | None:
    """The location, locked; None if there is none."""
    return Location.objects.select_for_update(no_key=True).filter(pk=location_id).first()


@transaction_required
def lock_product(product_id: UUID) -> Product | None:
    """The product, locked; None if there is none."""
    return Product.objects.select_for_update(no_key=True).filter(pk=product_id).first()
