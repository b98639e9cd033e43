"""The demo shop's products and their stock: enough for its orders, and no more in the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from random import Random

from django.conf import settings

from inventory.models import Location, Product, StockLevel
from inventory.operations.adjustments import AdjustmentReason, Change, adjust_stock
from inventory.operations.locations import create_location
from inventory.operations.products import create_product, default_location
from oms.core.actor import Actor
from oms.core.money import rounded
from oms.demo.products import DemoProduct
from oms.demo.scenarios import PlannedOrder

_DEPOT = "harbour"
# Stock at the opening beyond what is going to be ordered.
_MIN_SPARE, _MAX_SPARE = 8, 120
# The part of a product's opening stock that lies in the depot, if it has unlimited stock.
_DEPOT_SHARE = 0.3


def create_products(
    catalogue: Sequence[DemoProduct],
    plans: Sequence[PlannedOrder],
    *,
    staff: Actor,
    random: Random,
) -> list[Product]:
    """Create the catalogue with stock for all planned orders."""
    default_location()
    if not Location.objects.filter(code=_DEPOT).exists():
        create_location(actor=staff, code=_DEPOT, name="Harbour depot", priority=200)
    demand: Counter[int] = Counter()
    for plan in plans:
        demand.update(dict(plan.lines))
    products = []
    for index, item in enumerate(catalogue):
        spare = random.randrange(_MIN_SPARE, _MAX_SPARE) if item.left_over is None else 6
        stock = demand[index] + spare
        depot = round(stock * _DEPOT_SHARE) if item.left_over is None else 0
        product = create_product(
            actor=staff,
            sku=item.sku,
            name=item.name,
            description=item.description,
            category=item.category,
            price=rounded(item.price, settings.SHOP_CURRENCY),
            currency=settings.SHOP_CURRENCY,
            is_active=item.is_active,
            backorderable=item.backorderable,
            initial_stock=stock - depot,
        )
        if depot:
            adjust_stock(
                actor=staff,
                product_id=product.id,
                amount=Change(delta=depot),
                reason=AdjustmentReason.RECEIVED,
                location=_DEPOT,
            )
        products.append(product)
    return products


def take_stock(item: DemoProduct, product: Product, *, staff: Actor) -> None:
    """Leave as much of the product as the catalogue says, or as is possible."""
    if item.left_over is None:
        return
    level = StockLevel.objects.get(product=product, location__is_default=True)
    least = 0 if item.backorderable else level.reserved
    delta = max(least, level.reserved + item.left_over) - level.on_hand
    if delta:
        adjust_stock(
            actor=staff,
            product_id=product.id,
            amount=Change(delta=delta),
            reason=AdjustmentReason.CORRECTION,
            note="Stocktake",
        )
