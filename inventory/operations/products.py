"""Creating and changing products."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db import IntegrityError

from inventory.errors import SkuTaken
from inventory.events import ProductBecameAvailable, ProductChanged, ProductCreated
from inventory.locks import lock_product, lock_stock_levels
from inventory.models import Location, MovementKind, Product, StockLevel
from inventory.operations.stock import Cause, StockAllocator
from inventory.queries import CATALOGUE, available_of
from oms.core import clock
from oms.core.actor import Actor
from oms.core.cache_versions import renew_on_commit
from oms.core.errors import NotFound, StaleVersion
from oms.core.money import in_currency
from oms.core.permissions import Permission
from oms.db.transactions import transaction, violated_constraint
from oms.events.publishing import publish

_PRICED = ("price", "currency")


@transaction
def create_product(*, actor: Actor, initial_stock: int = 0, **values: Any) -> Product:
    """Create a product with the fields `values`, and `initial_stock` at the default location.

    It needs the permission to set prices, and with stock the one to receive it. Raises
    PermissionDenied, SkuTaken, and Invalid for a price with more decimals than its currency has.
    """
    actor.require(Permission.PRODUCTS_EDIT, Permission.PRODUCTS_PRICE)
    if initial_stock:
        actor.require(Permission.STOCK_RECEIVE)
    now = clock.now()
    product = Product(**values, created_at=now, updated_at=now)
    product.price = in_currency(product.price, product.currency, pointer="/price")
    if Product.objects.filter(sku__iexact=product.sku).exists():
        raise SkuTaken
    _save(product, force_insert=True)
    StockLevel.objects.create(
        product=product,
        location=default_location(),
        updated_at=now,
    )
    publish(ProductCreated(product_id=product.id, sku=product.sku, name=product.name), actor=actor)
    renew_on_commit(CATALOGUE)
    if initial_stock:
        allocator = StockAllocator(levels := lock_stock_levels([product.id]).rows())
        cause = Cause(actor=actor, reference=f"product:{product.id}:created", reason="received")
        allocator.adjust(levels[0], initial_stock, kind=MovementKind.RECEIVE, cause=cause)
        allocator.save(at=now)
    return product


def default_location() -> Location:
    """The location of new products; created if there is none."""
    location, _ = Location.objects.get_or_create(
        is_default=True, defaults={"code": "main", "name": "Main warehouse"}
    )
    return location


@transaction
def change_product(
    *,
    actor: Actor,
    product_id: UUID,
    values: dict[str, Any],
    expected_version: int | None = None,
) -> Product:
    """Change the fields `values` of a product.

    Another price or currency needs the permission to set prices. Raises PermissionDenied, NotFound,
    StaleVersion, SkuTaken, and Invalid for a price with more decimals than its currency has. What
    waits for a product goes on waiting if backorders are turned off.
    """
    actor.require(Permission.PRODUCTS_EDIT)
    product = lock_product(product_id)
    if product is None:
        raise NotFound
    if expected_version is not None and product.version != expected_version:
        raise StaleVersion(current_version=product.version)
    if not values.keys().isdisjoint({"price", "currency"}):
        price = in_currency(
            values.get("price", product.price),
            values.get("currency", product.currency),
            pointer="/price" if "price" in values else "/currency",
        )
        values = {**values, "price": price}
    changes = {
        name: [getattr(product, name), value]
        for name, value in values.items()
        if getattr(product, name) != value
    }
    if not changes:
        return product
    if not changes.keys().isdisjoint(_PRICED):
        actor.require(Permission.PRODUCTS_PRICE)
    now = clock.now()
    for name in changes:
        setattr(product, name, values[name])
    product.version += 1
    product.updated_at = now
    _save(product, update_fields=[*changes, "version", "updated_at"])
    publish(ProductChanged(product_id=product.id, sku=product.sku, changes=changes), actor=actor)
    if changes.get("is_active") == [False, True]:
        _publish_available(product, actor=actor)
    renew_on_commit(CATALOGUE)
    return product


def _publish_available(product: Product, *, actor: Actor) -> None:
    """What is on sale again is back in stock, if any is available."""
    [available] = available_of([product.id])
    if available > 0:
        event = ProductBecameAvailable(
            product_id=product.id, sku=product.sku, name=product.name, available=available
        )
        publish(event, actor=actor)


def _save(product: Product, **options: Any) -> None:
    try:
        product.save(**options)
    except IntegrityError as error:
        if violated_constraint(error) == "product_sku_once":
            raise SkuTaken from error
        raise
