"""Changing an unpaid order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from inventory.operations.stock import Cause, StockAllocator, open_stock_allocator
from inventory.queries import reserved_quantities_of
from oms.core import clock
from oms.core.actor import Actor
from oms.core.ids import new_id
from oms.core.money import rounded
from oms.core.permissions import Permission
from oms.db.transactions import transaction
from oms.events.publishing import publish
from orders.errors import OrderNotEditable
from orders.events import OrderEdited
from orders.locks import items_of, lock_order
from orders.models import Order, OrderItem
from orders.operations.transitions import allocate, stock_reference, transition_order
from orders.operations.validation import check_sellable, check_stock
from orders.placements import OrderedItem
from orders.states import OrderStatus, PaymentState
from orders.totals import PricedLine, order_totals


@dataclass(frozen=True, kw_only=True)
class OrderEdit:
    """The new values; None leaves a part unchanged."""

    items: Sequence[OrderedItem] | None = None
    shipping_address: dict[str, str] | None = None
    note: str | None = None


@transaction
def edit_order(
    *, actor: Actor, order_id: UUID, edit: OrderEdit, expected_version: int | None = None
) -> Order:
    """Change a pending, unpaid order; stock is reserved or released by the difference.

    A product that stays in the order keeps its price; a new one has the current price. Raises
    NotFound, PermissionDenied, StaleVersion, OrderNotEditable, OutOfStock and Invalid, as placing
    does.
    """
    order = lock_order(
        order_id,
        actor=actor,
        permissions=[Permission.ORDERS_EDIT],
        expected_version=expected_version,
    )
    if not order.is_awaiting_payment:
        raise OrderNotEditable(current_status=order.status, payment_status=order.payment_status)
    now = clock.now()
    order.touch(at=now)
    changes: dict[str, list[Any]] = {}
    if edit.shipping_address is not None and edit.shipping_address != order.shipping_address:
        changes["shipping_address"] = [order.shipping_address, edit.shipping_address]
        order.shipping_address = edit.shipping_address
    if edit.note is not None and edit.note != order.note:
        changes["note"] = [order.note, edit.note]
        order.note = edit.note
    if edit.items is not None:
        changes |= _exchange_items(order, edit.items, actor=actor, at=now)
    if not changes:
        order.refresh_from_db(fields=["version", "updated_at"])
        return order
    if not order.total:
        order.payment_status = PaymentState.PAID
    order.save()
    publish(
        OrderEdited(
            order_id=order.id,
            number=order.number,
            customer_id=order.customer_id,
            changes=changes,
        ),
        actor=actor,
        at=now,
    )
    if not order.total:
        transition_order(order, OrderStatus.CONFIRMED, actor=actor, at=now, reason="nothing to pay")
    return order


def _exchange_items(
    order: Order, requested: Sequence[OrderedItem], *, actor: Actor, at: datetime
) -> dict[str, list[Any]]:
    old = {item.product_id: item for item in items_of([order.id])[order.id]}
    new = {item.product_id: item.quantity for item in requested}
    before = {id: item.quantity for id, item in old.items()}
    if list(new.items()) == list(before.items()):
        return {}
    stock = open_stock_allocator(old.keys() | new.keys())
    cause = Cause(actor=actor, reference=stock_reference(order), order_id=order.id)
    _check(requested, before, stock=stock, currency=order.currency)
    _reserve_difference(order, new, before, stock=stock, cause=cause)
    previous_total = order.total
    _save_items(order, requested, old, stock=stock)
    stock.save(at=at)
    return {
        "items": [
            [{"product_id": str(id), "quantity": n} for id, n in before.items()],
            [{"product_id": str(id), "quantity": n} for id, n in new.items()],
        ],
        "total": [previous_total, order.total],
    }


def _check(
    requested: Sequence[OrderedItem],
    before: Mapping[UUID, int],
    *,
    stock: StockAllocator,
    currency: str,
) -> None:
    """Raise what placing would raise; products of the order may stay even if no longer on sale."""
    refusal = check_sellable(
        requested, stock=stock, kept=before.keys(), currency=currency
    ) or check_stock(requested, stock=stock, held=before)
    if refusal is not None:
        raise refusal


def _reserve_difference(
    order: Order,
    new: Mapping[UUID, int],
    before: Mapping[UUID, int],
    *,
    stock: StockAllocator,
    cause: Cause,
) -> None:
    reserved = reserved_quantities_of([order.id])[order.id]
    released: dict[tuple[UUID, UUID], int] = {}
    for product_id in before.keys() | new.keys():
        more = new.get(product_id, 0) - before.get(product_id, 0)
        if more > 0:
            stock.reserve(product_id, more, cause=cause)
        else:
            released |= allocate(reserved, product_id=product_id, quantity=-more)
    stock.release(released, cause=cause)


def _save_items(
    order: Order,
    requested: Sequence[OrderedItem],
    old: Mapping[UUID, OrderItem],
    *,
    stock: StockAllocator,
) -> None:
    items = []
    for position, line in enumerate(requested):
        kept = old.get(line.product_id)
        product = stock.product(line.product_id)
        assert product is not None, "it was checked"
        items.append(
            OrderItem(
                id=kept.id if kept else new_id(),
                order=order,
                product_id=line.product_id,
                position=position,
                sku=kept.sku if kept else product.sku,
                name=kept.name if kept else product.name,
                quantity=line.quantity,
                unit_price=kept.unit_price if kept else rounded(product.price, order.currency),
            )
        )
    totals = order_totals(
        (PricedLine(unit_price=item.unit_price, quantity=item.quantity) for item in items),
        currency=order.currency,
    )
    for item, line_total in zip(items, totals.lines, strict=True):
        item.line_total = line_total
    order.total = totals.total
    OrderItem.objects.filter(order=order).exclude(pk__in=[item.id for item in items]).delete()
    OrderItem.objects.bulk_create(
        items,
        update_conflicts=True,
        unique_fields=["id"],
        update_fields=["position", "quantity", "line_total"],
    )
