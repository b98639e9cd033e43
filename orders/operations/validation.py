"""Validation before stock is reserved; reports all errors. For placing, editing, late payments."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from inventory.errors import OutOfStock, Shortage
from inventory.operations.stock import StockAllocator
from oms.core.errors import InputError, Invalid
from orders.placements import OrderedItem


def check_sellable(
    items: Sequence[OrderedItem],
    *,
    stock: StockAllocator,
    kept: Collection[UUID] = (),
    currency: str = "",
) -> Invalid | None:
    """The refusal of items that name a product twice or one not sold, or mix currencies; else None.

    The products `kept` are in the order already: they keep their price, and may no longer be
    on sale. `currency` is the order's, by default that of its first product.
    """
    errors = []
    seen: set[UUID] = set()
    for line, item in enumerate(items):
        pointer = f"/items/{line}/product_id"
        if item.product_id in seen:
            detail = "Duplicate product: combine the quantities in one line."
            errors.append(InputError(pointer=pointer, code="duplicate", detail=detail))
            continue
        seen.add(item.product_id)
        product = stock.product(item.product_id)
        if item.product_id in kept and product is not None:
            continue
        if product is None or not product.is_active:
            errors.append(
                InputError(
                    pointer=pointer, code="not_found", detail="There is no such product on sale."
                )
            )
            continue
        currency = currency or product.currency
        if product.currency != currency:
            errors.append(
                InputError(
                    pointer=pointer,
                    code="currency_mismatch",
                    detail=f"Its price is in {product.currency}, the order is in {currency}.",
                )
            )
    return Invalid(errors) if errors else None


def check_stock(
    items: Sequence[OrderedItem], *, stock: StockAllocator, held: Mapping[UUID, int] | None = None
) -> OutOfStock | None:
    """OutOfStock naming every line with too little stock; None if everything can be reserved.

    `held` is the quantity by product that is already reserved for this order.
    """
    held = held or {}
    requested: Counter[UUID] = Counter()
    shortages = []
    for line, item in enumerate(items):
        requested[item.product_id] += item.quantity
        more = requested[item.product_id] - held.get(item.product_id, 0)
        if more > 0 and not stock.can_reserve(item.product_id, more):
            product = stock.product(item.product_id)
            shortages.append(
                Shortage(
                    line=line,
                    product_id=item.product_id,
                    sku=product.sku if product else "",
                    requested=requested[item.product_id],
                    available=max(stock.available(item.product_id), 0)
                    + held.get(item.product_id, 0),
                )
            )
    return OutOfStock(shortages) if shortages else None
