"""An order as of a past time, by the event log, the stock ledger and the rows that only grow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.db.models import Sum

from inventory.availability import OrderStock, stock_of_order_at
from inventory.queries import ProductRow, query_products
from oms.core.actor import Actor
from oms.core.errors import NotFound
from oms.core.money import ZERO
from oms.events.history import earliest_event_of
from oms.events.models import Event
from orders.events import OrderEdited
from orders.models import Cancellation, CancellationItem
from orders.payment_status import payment_state
from orders.queries import HistoryEntry, find_order, history_of, items_of
from orders.rows import ItemRow, OrderRow
from orders.states import HOLDS_STOCK, FulfilmentState, OrderStatus
from payments.past import totals_of_order_at

_NOTHING = OrderStock(reserved=0, shipped=0, restocked=0)


@dataclass(frozen=True, kw_only=True)
class PastItem:
    """A product of the order as of the time, with what the ledger says of it."""

    product_id: UUID
    sku: str
    name: str
    quantity: int
    cancelled: int
    holds_stock: bool
    stock: OrderStock

    @property
    def left_to_ship(self) -> int:
        return self.quantity - self.cancelled - self.stock.shipped

    @property
    def waiting(self) -> int:
        """What was neither shipped nor reserved of an order that held stock."""
        return max(self.left_to_ship - self.stock.reserved, 0) if self.holds_stock else 0


@dataclass(frozen=True, kw_only=True)
class PastOrder:
    """What is known of an order as of the time `at`."""

    id: UUID
    number: str
    customer_id: UUID
    at: datetime
    status: str
    payment_status: str
    fulfilment_status: str
    currency: str
    total: Decimal
    items: Sequence[PastItem]
    history: Sequence[HistoryEntry]


@dataclass(frozen=True, kw_only=True)
class _Edits:
    """What the edits of the items show of a time.

    `quantities`, by product, are None if there were none; `total` is None if none came later.
    """

    quantities: Mapping[UUID, int] | None
    total: Decimal | None


def order_at(*, actor: Actor, order_id: UUID, at: datetime) -> PastOrder:
    """The order as of a past time.

    Raises NotFound if there was none that the actor may see, and PermissionDenied.
    """
    order = find_order(order_id, actor=actor)
    history = [entry for entry in history_of(order_id, actor=actor) if entry.at <= at]
    if not history:
        raise NotFound
    status, edits = history[-1].status, _edits_around(order_id, at=at)
    items = _items_at(order_id, edits, holds_stock=status in HOLDS_STOCK, at=at)
    total = _total_at(order, edits, at=at)
    payments = totals_of_order_at(order_id, currency=order.currency, at=at)
    is_present = order.updated_at <= at
    return PastOrder(
        id=order.id,
        number=order.number,
        customer_id=order.customer_id,
        at=at,
        status=status,
        payment_status=(
            order.payment_status if is_present else payment_state(total, payments, status=status)
        ),
        fulfilment_status=_fulfilment_status(status, items),
        currency=order.currency,
        total=total,
        items=items,
        history=history,
    )


def _items_at(
    order_id: UUID, edits: _Edits, *, holds_stock: bool, at: datetime
) -> Sequence[PastItem]:
    present = {item.product_id: item for item in items_of([order_id])[order_id]}
    quantities = edits.quantities
    if quantities is None:
        quantities = {id: item.quantity for id, item in present.items()}
    stock = stock_of_order_at(order_id=order_id, at=at)
    cancelled = _cancelled_quantities(order_id, at=at)
    removed = {row.id: row for row in query_products(quantities.keys() - present.keys()).rows()}
    named: dict[UUID, ItemRow | ProductRow] = {**removed, **present}
    return [
        PastItem(
            product_id=id,
            sku=named[id].sku,
            name=named[id].name,
            quantity=quantity,
            cancelled=cancelled.get(id, 0),
            holds_stock=holds_stock,
            stock=stock.get(id, _NOTHING),
        )
        for id, quantity in quantities.items()
    ]


def _cancelled_quantities(order_id: UUID, *, at: datetime) -> Mapping[UUID, int]:
    """By product."""
    found = CancellationItem.objects.filter(
        cancellation__order=order_id, cancellation__created_at__lte=at
    )
    rows = found.values_list("order_item__product_id").annotate(quantity=Sum("quantity"))
    return dict(rows.order_by("order_item__product_id"))


def _total_at(order: OrderRow, edits: _Edits, *, at: datetime) -> Decimal:
    """From the present total backwards: items are only edited before any are cancelled."""
    if edits.total is not None:
        return edits.total
    later = Cancellation.objects.filter(order=order.id, created_at__gt=at)
    cancelled: Decimal | None = later.aggregate(amount=Sum("amount"))["amount"]
    return order.total + (cancelled or ZERO)


def _fulfilment_status(status: str, items: Sequence[PastItem]) -> FulfilmentState:
    if status == OrderStatus.DELIVERED:
        return FulfilmentState.DELIVERED
    if not any(item.stock.shipped for item in items):
        return FulfilmentState.UNFULFILLED
    if any(item.left_to_ship for item in items):
        return FulfilmentState.PARTIALLY_SHIPPED
    return FulfilmentState.SHIPPED


def _edits_around(order_id: UUID, *, at: datetime) -> _Edits:
    edits = Event.objects.filter(
        object_id=order_id,
        type=OrderEdited.type,
        id__gte=earliest_event_of([order_id]),
        data__changes__has_key="items",
    ).order_by("position")
    known: list[dict[str, int | str]] | None = None
    total = None
    for edit in edits:
        before, after = edit.data["changes"]["items"]
        if edit.occurred_at > at:
            known = before if known is None else known
            total = Decimal(edit.data["changes"]["total"][0])
            break
        known = after
    quantities = (
        None if known is None else {UUID(str(i["product_id"])): int(i["quantity"]) for i in known}
    )
    return _Edits(quantities=quantities, total=total)
