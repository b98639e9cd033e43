"""What the rest of the house may know of orders and parcels, without their models."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from oms.db.raw_queries import rows_of
from orders.models import Order, OrderItem, ShipmentItem


@dataclass(frozen=True, kw_only=True)
class LineSummary:
    """That many pieces of a product; `total` is their price, in the order's currency."""

    sku: str
    name: str
    quantity: int
    total: Decimal


@dataclass(frozen=True, kw_only=True)
class OrderSummary:
    """An order as it is now. `shipping_address` is as in Placement."""

    id: UUID
    number: str
    customer_id: UUID
    status: str
    payment_status: str
    currency: str
    total: Decimal
    lines: tuple[LineSummary, ...]
    shipping_address: Mapping[str, str]


class _OrderRow(NamedTuple):
    id: UUID
    number: str
    customer_id: UUID
    status: str
    payment_status: str
    currency: str
    total: Decimal
    shipping_address: Mapping[str, str]


class _ItemRow(NamedTuple):
    order_id: UUID
    sku: str
    name: str
    quantity: int
    line_total: Decimal


def summaries_of(order_ids: Collection[UUID]) -> dict[UUID, OrderSummary]:
    """The orders by their ids, deleted ones too, in two statements however many they are."""
    if not order_ids:
        return {}
    lines: dict[UUID, list[LineSummary]] = {id: [] for id in order_ids}
    items = OrderItem.objects.filter(order_id__in=lines).order_by("position")
    for item in rows_of(_ItemRow, items):
        lines[item.order_id].append(
            LineSummary(sku=item.sku, name=item.name, quantity=item.quantity, total=item.line_total)
        )
    return {
        order.id: OrderSummary(**order._asdict(), lines=tuple(lines[order.id]))
        for order in rows_of(_OrderRow, Order.objects.filter(pk__in=list(lines)))
    }


def shipment_lines_of(shipment_ids: Collection[UUID]) -> dict[UUID, tuple[LineSummary, ...]]:
    """What is in each of the shipments, in one statement however many they are."""
    if not shipment_ids:
        return {}
    lines: dict[UUID, list[LineSummary]] = {id: [] for id in shipment_ids}
    rows = ShipmentItem.objects.filter(shipment_id__in=list(lines)).select_related("order_item")
    for row in rows.order_by("order_item__position"):
        item = row.order_item
        lines[row.shipment_id].append(
            LineSummary(
                sku=item.sku,
                name=item.name,
                quantity=row.quantity,
                total=item.unit_price * row.quantity,
            )
        )
    return {id: tuple(of_shipment) for id, of_shipment in lines.items()}
