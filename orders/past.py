"""An order as of a past time, by the event log and the stock ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from inventory.availability import OrderStock, stock_of_order_at
from inventory.queries import ProductRow, query_products
from oms.core.actor import Actor
from oms.core.errors import NotFound
from oms.events.history import earliest_event_of
from oms.events.models import Event
from orders.events import OrderEdited
from orders.queries import HistoryEntry, find_order, history_of, items_of
from orders.rows import ItemRow

_NOTHING = OrderStock(reserved=0, shipped=0, restocked=0)


@dataclass(frozen=True, kw_only=True)
class PastItem:
    """A product of the order as of the time, with what the ledger says of it."""

    product_id: UUID
    sku: str
    name: str
    quantity: int
    stock: OrderStock


@dataclass(frozen=True, kw_only=True)
class PastOrder:
    """What is known of an order as of the time `at`."""

    id: UUID
    number: str
    customer_id: UUID
    at: datetime
    status: str
    items: Sequence[PastItem]
    history: Sequence[HistoryEntry]


def order_at(*, actor: Actor, order_id: UUID, at: datetime) -> PastOrder:
    """The order as of a past time.

    Raises NotFound if there was none that the actor may see, and PermissionDenied.
    """
    order = find_order(order_id, actor=actor)
    history = [entry for entry in history_of(order_id, actor=actor) if entry.at <= at]
    if not history:
        raise NotFound
    present = {item.product_id: item for item in items_of([order_id])[order_id]}
    quantities = _edited_quantities(order_id, at=at)
    if quantities is None:
        quantities = {id: item.quantity for id, item in present.items()}
    stock = stock_of_order_at(order_id=order_id, at=at)
    removed = {row.id: row for row in query_products(quantities.keys() - present.keys()).rows()}
    named: dict[UUID, ItemRow | ProductRow] = {**removed, **present}
    items = [
        PastItem(
            product_id=id,
            sku=named[id].sku,
            name=named[id].name,
            quantity=quantity,
            stock=stock.get(id, _NOTHING),
        )
        for id, quantity in quantities.items()
    ]
    return PastOrder(
        id=order.id,
        number=order.number,
        customer_id=order.customer_id,
        at=at,
        status=history[-1].status,
        items=items,
        history=history,
    )


def _edited_quantities(order_id: UUID, *, at: datetime) -> Mapping[UUID, int] | None:
    """The quantities by product as the edit before or after `at` left or found them.

    None if the items were never edited.
    """
    edits = Event.objects.filter(
        object_id=order_id,
        type=OrderEdited.type,
        id__gte=earliest_event_of([order_id]),
        data__changes__has_key="items",
    ).order_by("position")
    known: list[dict[str, int | str]] | None = None
    for edit in edits:
        before, after = edit.data["changes"]["items"]
        if edit.occurred_at > at:
            known = before if known is None else known
            break
        known = after
    return (
        None if known is None else {UUID(str(i["product_id"])): int(i["quantity"]) for i in known}
    )
