"""Changing an unpaid order, and correcting others."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from inventory.holdings import Holdings, holdings_of
from inventory.operations.stock import Cause, StockAllocator, open_stock_allocator
from oms.core import clock
from oms.core.actor import Actor
from oms.core.dry_runs import current_dry_run
from oms.core.ids import new_id
from oms.core.money import rounded
from oms.core.permissions import Permission
from oms.db.transactions import transaction
from oms.events.publishing import publish
from oms.events.types import DomainEvent
from orders.errors import OrderNotEditable, ReferenceTaken
from orders.events import InternalNoteChanged, OrderEdited
from orders.locks import items_of, lock_order, lock_references
from orders.models import Order, OrderItem
from orders.operations.transitions import (
    stock_reference,
    transition_order,
)
from orders.operations.validation import check_sellable, check_stock
from orders.operations.waiting import learn_waiting, settle_lost_stock
from orders.placements import OrderedItem, Reference
from orders.states import OrderStatus, PaymentState
from orders.totals import PricedLine, order_totals

# What staff may change of orders that are no longer pending and unpaid.
_ANY_TIME = frozenset({"internal_note", "reference", "metadata", "language"})
_UNTIL_SHIPPED = frozenset({"shipping_address", "billing_address"})
_NULL_WHEN_EMPTY = frozenset({"reference", "billing_address"})


@dataclass(frozen=True, kw_only=True)
class OrderEdit:
    """The new values; None leaves a part unchanged. They are as in Placement.

    An empty reference or billing address removes that of the order.
    """

    items: Sequence[OrderedItem] | None = None
    shipping_address: dict[str, str] | None = None
    billing_address: dict[str, str] | None = None
    note: str | None = None
    reference: str | None = None
    metadata: Mapping[str, str] | None = None
    language: str | None = None
    internal_note: str | None = None

    def values(self) -> dict[str, Any]:
        """The given values by their names, as the order has them."""
        given = {each.name: getattr(self, each.name) for each in fields(self)}
        return {
            name: (value or None) if name in _NULL_WHEN_EMPTY else value
            for name, value in given.items()
            if value is not None
        }


@transaction
def edit_order(
    *, actor: Actor, order_id: UUID, edit: OrderEdit, expected_version: int | None = None
) -> Order:
    """Change a pending, unpaid order; stock is reserved or released by the difference.

    Staff also correct other orders: addresses until all is shipped; internal note, reference,
    metadata and language at any time. A line whose quantity grows is sold like a new one,
    at the current price; other lines keep their prices. Raises NotFound, PermissionDenied,
    StaleVersion, OrderNotEditable, ReferenceTaken, OutOfStock and Invalid, as placing does.
    """
    order = lock_order(
        order_id,
        actor=actor,
        permissions=[Permission.ORDERS_EDIT],
        expected_version=expected_version,
    )
    values = edit.values()
    _check_editable(order, values.keys(), actor=actor)
    now = clock.now()
    order.touch(at=now)
    changes = {
        name: [getattr(order, name), value]
        for name, value in values.items()
        if name != "items" and getattr(order, name) != value
    }
    if values.get("reference") and "reference" in changes:
        _check_reference(order, values["reference"])
    for name, (_, value) in changes.items():
        setattr(order, name, value)
    if edit.items is not None:
        changes |= _exchange_items(order, edit.items, actor=actor, at=now)
    if not changes:
        order.refresh_from_db(fields=["version", "updated_at"])
        return order
    # Staff also note something of orders that were free from the beginning, and are confirmed.
    becomes_free = "items" in changes and not order.total
    if becomes_free:
        order.payment_status = PaymentState.PAID
    order.save()
    publish(*_events(order, changes), actor=actor, at=now)
    if becomes_free:
        transition_order(order, OrderStatus.CONFIRMED, actor=actor, at=now, reason="nothing to pay")
    return order


@transaction
def patch_order(
    *,
    actor: Actor,
    order_id: UUID,
    edit_of: Callable[[Order], OrderEdit],
    expected_version: int | None = None,
) -> Order:
    """Edit the order by what `edit_of` makes of it as it is; raises as `edit_order` does."""
    order = lock_order(order_id, actor=actor, expected_version=expected_version)
    return edit_order(
        actor=actor, order_id=order_id, edit=edit_of(order), expected_version=expected_version
    )


def _check_editable(order: Order, names: Collection[str], *, actor: Actor) -> None:
    if "internal_note" in names:
        actor.require(Permission.ORDERS_EDIT)
    if order.is_awaiting_payment:
        return
    allowed: frozenset[str] = frozenset()
    if actor.may(Permission.ORDERS_EDIT):
        allowed = _ANY_TIME | _UNTIL_SHIPPED if order.holds_stock else _ANY_TIME
    if not names or not allowed.issuperset(names):
        raise OrderNotEditable(current_status=order.status, payment_status=order.payment_status)


def _check_reference(order: Order, reference: str) -> None:
    taken = lock_references([Reference(order.customer_id, reference)])
    if taken is not None and taken.rows():
        raise ReferenceTaken(reference)


def _events(order: Order, changes: dict[str, list[Any]]) -> list[DomainEvent]:
    """The internal note has an event of its own, which customers never see."""
    shown = {name: change for name, change in changes.items() if name != "internal_note"}
    events: list[DomainEvent] = []
    if shown:
        events.append(
            OrderEdited(
                order_id=order.id,
                number=order.number,
                customer_id=order.customer_id,
                changes=shown,
            )
        )
    if "internal_note" in changes:
        events.append(
            InternalNoteChanged(
                order_id=order.id, number=order.number, changes={"note": changes["internal_note"]}
            )
        )
    return events


def _exchange_items(
    order: Order, requested: Sequence[OrderedItem], *, actor: Actor, at: datetime
) -> dict[str, list[Any]]:
    old = {item.product_id: item for item in items_of([order.id])[order.id]}
    new = {item.product_id: item.quantity for item in requested}
    before = {id: item.quantity for id, item in old.items()}
    if list(new.items()) == list(before.items()):
        return {}
    if any(item.quantity_cancelled for item in old.values()):
        raise OrderNotEditable(
            "Items of an order with cancelled quantities can't be changed.",
            current_status=order.status,
            payment_status=order.payment_status,
        )
    stock = open_stock_allocator(old.keys() | new.keys())
    cause = Cause(actor=actor, reference=stock_reference(order), order_id=order.id)
    _check(requested, before, stock=stock, currency=order.currency)
    holdings = holdings_of([order.id])
    learn_waiting({order: list(old.values())}, holdings, at=at)
    waiting = _reserve_difference(holdings[order.id], new, before, stock=stock, cause=cause)
    previous_total = order.total
    _save_items(order, requested, old, waiting, stock=stock)
    if (run := current_dry_run()) is not None:
        run.change_total(order.total - previous_total, order.currency)
    stock.save(at=at)
    if any(item.quantity_waiting for item in old.values()) and not any(waiting.values()):
        settle_lost_stock([order.id], actor=actor)
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
    """Raise what placing would raise; lines that do not grow need not be on sale any more."""
    kept = {item.product_id for item in requested if not _grows(item, before)}
    refusal = check_sellable(requested, stock=stock, kept=kept, currency=currency) or check_stock(
        requested, stock=stock, held=before
    )
    if refusal is not None:
        stock.require_complete(item.product_id for item in requested)
        raise refusal


def _grows(item: OrderedItem, before: Mapping[UUID, int]) -> bool:
    """Whether the line is sold at today's terms: it is new, or its quantity grows."""
    return item.quantity > before.get(item.product_id, 0)


def _reserve_difference(
    holdings: Holdings,
    new: Mapping[UUID, int],
    before: Mapping[UUID, int],
    *,
    stock: StockAllocator,
    cause: Cause,
) -> dict[UUID, int]:
    """Reserve or release the difference; returns what waits then, by product."""
    waiting = {}
    for product_id in before.keys() | new.keys():
        more = new.get(product_id, 0) - before.get(product_id, 0)
        added = 0
        if more > 0:
            added = stock.reserve(product_id, more, cause=cause)
        elif more < 0:
            stock.release_part(holdings, product_id=product_id, quantity=-more, cause=cause)
        waiting[product_id] = holdings.waiting_of(product_id) + added
    return waiting


def _save_items(
    order: Order,
    requested: Sequence[OrderedItem],
    old: Mapping[UUID, OrderItem],
    waiting: Mapping[UUID, int],
    *,
    stock: StockAllocator,
) -> None:
    before = {id: item.quantity for id, item in old.items()}
    items = []
    for position, line in enumerate(requested):
        former = old.get(line.product_id)
        kept = None if _grows(line, before) else former
        product = stock.product(line.product_id)
        assert product is not None, "it was checked"
        items.append(
            OrderItem(
                id=former.id if former else new_id(),
                order=order,
                product_id=line.product_id,
                position=position,
                sku=kept.sku if kept else product.sku,
                name=kept.name if kept else product.name,
                quantity=line.quantity,
                quantity_waiting=waiting[line.product_id],
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
        update_fields=[
            "position",
            "sku",
            "name",
            "quantity",
            "quantity_waiting",
            "unit_price",
            "line_total",
        ],
    )
