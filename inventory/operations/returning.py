"""Units of an order that come back to the stock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from inventory.models import Location, StockLevel
from inventory.operations.stock import Cause, open_stock_allocator
from inventory.queries import shipped_quantities_of
from oms.db.transactions import transaction_required


@dataclass(frozen=True, kw_only=True)
class ReturnedUnits:
    """Shipped units of a product; `location` is a code, "" for where they were shipped from."""

    product_id: UUID
    quantity: int
    location: str = ""


def unknown_locations(codes: Iterable[str]) -> set[str]:
    """Those of the codes that no location has."""
    codes = set(codes)
    if not codes:
        return set()
    known = Location.objects.filter(code__in=codes).values_list("code", flat=True)
    return codes.difference(known)


@transaction_required
def return_units(units: Sequence[ReturnedUnits], *, cause: Cause, at: datetime) -> None:
    """Put the units on hand again, at locations that exist; `cause` names their order.

    The number of statements does not depend on the number of units.
    """
    create_levels_for(units)
    stock = open_stock_allocator({each.product_id for each in units})
    assert cause.order_id is not None, "only orders have shipped units"
    # Read after the levels are locked: others may move what an order has there.
    shipped = Counter(shipped_quantities_of([cause.order_id])[cause.order_id])
    returned: Counter[tuple[UUID, UUID]] = Counter()
    for each in sorted(units, key=lambda each: not each.location):
        if each.location:
            level = stock.level_at(each.product_id, each.location)
            assert level is not None, "it was created"
            returned[level.product_id, level.location_id] += each.quantity
            shipped[level.product_id, level.location_id] -= each.quantity
            continue
        quantity = each.quantity
        for place in sorted(shipped):
            part = min(max(shipped[place], 0), quantity)
            if place[0] == each.product_id and part:
                returned[place] += part
                shipped[place] -= part
                quantity -= part
        if quantity:  # more than the ledger says was shipped from anywhere
            first = stock.product(each.product_id)
            assert first is not None, "shipped products have stock levels"
            returned[first.product_id, first.location_id] += quantity
    stock.return_units(returned, cause=cause)
    stock.save(at=at)


@transaction_required
def create_levels_for(units: Sequence[ReturnedUnits]) -> None:
    """Create the stock levels that are missing at the locations that the units name.

    Before any level of the products is locked: others create levels, and then wait for those locks.
    """
    wanted = {(each.product_id, each.location) for each in units if each.location}
    if not wanted:
        return
    locations = Location.objects.in_bulk({code for _, code in wanted}, field_name="code")
    StockLevel.objects.bulk_create(
        [
            StockLevel(product_id=product_id, location=locations[code])
            for product_id, code in sorted(wanted)
        ],
        ignore_conflicts=True,
    )
