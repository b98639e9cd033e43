"""Orders and shipments as presented to other apps, without the models."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from uuid import UUID

from orders.models import Order, OrderItem, ShipmentItem


@dataclass(frozen=True, kw_only=True)
class LineSummary:
    """A quantity of a product; `total` is its price, in the order's currency.

    `waiting` is the part of an order's line that waits for stock.
    """

    product_id: UUID
    sku: str
    name: str
    quantity: int
    total: Decimal
    waiting: int = 0


@dataclass(frozen=True, kw_only=True)
class OrderSummary:
    """An order as it is now; `lines` are of what is still sold, and it is free if nothing costs.

    `shipping_address` is as in Placement.
    """

    id: UUID
    number: str
    customer_id: UUID
    status: str
    payment_status: str
    currency: str
    total: Decimal
    lines: tuple[LineSummary, ...]
    shipping_address: Mapping[str, str]
    is_free: bool


# The columns of an order that a summary has.
_COLUMNS = tuple(one.name for one in fields(OrderSummary) if one.name not in ("lines", "is_free"))


def summaries_of(order_ids: Collection[UUID]) -> dict[UUID, OrderSummary]:
    """The orders by their ids, deleted ones too, always in two statements."""
    if not order_ids:
        return {}
    lines: dict[UUID, list[LineSummary]] = {id: [] for id in order_ids}
    priced = set()
    items = OrderItem.objects.filter(order_id__in=lines).order_by("position")
    columns = ("order_id", "product_id", "sku", "name", "quantity", "quantity_cancelled")
    amounts = ("quantity_waiting", "line_total", "unit_price")
    for (
        order_id,
        product_id,
        sku,
        name,
        ordered,
        cancelled,
        waiting,
        total,
        price,
    ) in items.values_list(*columns, *amounts):
        if price:
            priced.add(order_id)
        if quantity := ordered - cancelled:
            lines[order_id].append(
                LineSummary(
                    product_id=product_id,
                    sku=sku,
                    name=name,
                    quantity=quantity,
                    total=total,
                    waiting=waiting,
                )
            )
    return {
        values["id"]: OrderSummary(
            **values, lines=tuple(lines[values["id"]]), is_free=values["id"] not in priced
        )
        for values in Order.objects.filter(pk__in=lines).values(*_COLUMNS)
    }


def shipment_lines_of(shipment_ids: Collection[UUID]) -> dict[UUID, tuple[LineSummary, ...]]:
    """The contents of each shipment, always in one statement."""
    if not shipment_ids:
        return {}
    lines: dict[UUID, list[LineSummary]] = {id: [] for id in shipment_ids}
    rows = ShipmentItem.objects.filter(shipment_id__in=list(lines)).select_related("order_item")
    for row in rows.order_by("order_item__position"):
        item = row.order_item
        lines[row.shipment_id].append(
            LineSummary(
                product_id=item.product_id,
                sku=item.sku,
                name=item.name,
                quantity=row.quantity,
                total=item.unit_price * row.quantity,
            )
        )
    return {id: tuple(of_shipment) for id, of_shipment in lines.items()}
