"""Quantities of an order's lines that a call names: to ship, to cancel, to return, to refund."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from django.db.models import F, OuterRef, Subquery, Sum
from django.db.models.functions import Coalesce

from inventory.operations.returning import unknown_locations
from oms.core.errors import Conflict, InputError, Invalid
from oms.core.money import ZERO, rounded
from orders.models import OrderItem, RefundItem, ReturnItem
from orders.states import OPEN_RETURNS
from payments.queries import amounts_of_refunds


@dataclass(frozen=True, kw_only=True)
class ItemQuantity:
    """A quantity of an order item."""

    order_item_id: UUID
    quantity: int


def quantities_by_item(
    own: Sequence[OrderItem],
    requested: Iterable[tuple[UUID, int]],
    *,
    left: Callable[[OrderItem], int],
    error: type[Conflict],
) -> dict[OrderItem, int]:
    """The requested quantities, ids of lines with units, by the order's `own` lines.

    Raises Invalid for lines of other orders, and `error` naming every line of which fewer are left.
    """
    requested = list(requested)
    by_id = {item.id: item for item in own}
    unknown = [
        InputError(
            pointer=f"/items/{line}/order_item_id",
            code="not_found",
            detail="This order has no item with that id.",
        )
        for line, (item_id, _) in enumerate(requested)
        if item_id not in by_id
    ]
    if unknown:
        raise Invalid(unknown)
    quantities: dict[OrderItem, int] = {}
    for item_id, quantity in requested:
        quantities[by_id[item_id]] = quantities.get(by_id[item_id], 0) + quantity
    refuse_too_many(quantities, left=left, error=error)
    return quantities


def price_of(quantities: Mapping[OrderItem, int], currency: str) -> Decimal:
    """The price of the quantities, with exactly the decimals of their order's currency."""
    total = sum((item.unit_price * quantity for item, quantity in quantities.items()), ZERO)
    return rounded(total, currency)


def expected_quantities(order_id: UUID) -> dict[UUID, int]:
    """The units by line that open returns of the order still expect."""
    items = ReturnItem.objects.filter(
        order_return__order_id=order_id, order_return__status__in=OPEN_RETURNS
    )
    expected = items.values_list("order_item_id").annotate(
        left=Sum(F("quantity") - F("quantity_received"))
    )
    return dict(expected.order_by())


def returnable_quantities(order_id: UUID) -> dict[OrderItem, int]:
    """The shipped units by line that neither came back nor are expected by an open return."""
    of_item = ReturnItem.objects.filter(
        order_item=OuterRef("pk"), order_return__status__in=OPEN_RETURNS
    ).values("order_item")
    expected = of_item.annotate(left=Sum(F("quantity") - F("quantity_received"))).values("left")
    items = OrderItem.objects.filter(order=order_id).annotate(
        expected=Coalesce(Subquery(expected), 0)
    )
    left = {item: item.left_to_return - item.expected for item in items.order_by("position")}
    return {item: quantity for item, quantity in left.items() if quantity}


def refunded_quantities(own: Sequence[OrderItem]) -> dict[UUID, int]:
    """The shipped units by line that were refunded, without refunds that failed."""
    items = list(RefundItem.objects.filter(order_item__in=own))
    made = amounts_of_refunds({item.refund_id for item in items})
    refunded: Counter[UUID] = Counter()
    for item in items:
        if item.refund_id in made:
            refunded[item.order_item_id] += item.quantity
    return refunded


def check_locations(codes: Sequence[str]) -> None:
    """Raise Invalid for each of the items' location codes that does not exist; "" is none."""
    unknown = unknown_locations(code for code in codes if code)
    errors = [
        InputError(pointer=f"/items/{line}/location", code="not_found", detail="No such location.")
        for line, code in enumerate(codes)
        if code in unknown
    ]
    if errors:
        raise Invalid(errors)


def refuse_too_many(
    quantities: Mapping[OrderItem, int],
    *,
    left: Callable[[OrderItem], int],
    error: type[Conflict],
) -> None:
    """Raise `error` naming every line of which fewer are left than the quantity."""
    too_many = [
        {
            "order_item_id": str(item.id),
            "requested": quantity,
            "left": left(item),
            "waiting": item.quantity_waiting,
        }
        for item, quantity in quantities.items()
        if quantity > left(item)
    ]
    if too_many:
        raise error(items=too_many)
