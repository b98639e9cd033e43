"""What orders learn of their stock: which items were allocated, and which are lost and wait."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from django.db.models import Q

from inventory.holdings import Holdings
from oms.core.actor import Actor, system
from oms.db.transactions import transaction_required
from oms.events.publishing import publish_all
from oms.events.types import DomainEvent
from oms.exceptions.kinds import ExceptionKind
from oms.exceptions.operations.recording import (
    NewException,
    raise_exceptions,
    settle_exceptions,
    subject_of,
)
from orders.events import OrderItemsAllocated, OrderItemsWaiting
from orders.models import Order, OrderItem

ALLOCATION = system("allocation")


@transaction_required
def learn_waiting(
    items: Mapping[Order, Sequence[OrderItem]], holdings: Mapping[UUID, Holdings], *, at: datetime
) -> list[Order]:
    """Set `quantity_waiting` of items of the locked orders to what waits now, by `holdings`.

    Records what an open order was allocated and has lost: an event, and of what is lost an
    exception. An operation that stores the present quantities while the event of inventory is still
    on its way learns them too, for the consumer of that event then finds no difference. Returns the
    orders that changed, which the caller saves with their items.
    """
    changed: list[Order] = []
    lost: list[NewException] = []
    events: list[tuple[DomainEvent, Actor]] = []
    for order, own in items.items():
        difference: dict[UUID, int] = {}
        for item in own:
            waiting = holdings[order.id].waiting_of(item.product_id)
            if more := waiting - item.quantity_waiting:
                difference[item.product_id] = more
                item.quantity_waiting = waiting
        if not difference:
            continue
        changed.append(order)
        if order.holds_stock:
            lost += _exceptions(order, own, difference)
            events += [(event, ALLOCATION) for event in _events(order, difference)]
    publish_all(events, at=at)
    raise_exceptions(lost, actor=ALLOCATION)
    return changed


def _exceptions(
    order: Order, items: Iterable[OrderItem], difference: Mapping[UUID, int]
) -> list[NewException]:
    lost = [
        f"{difference[item.product_id]} of {item.sku}"
        for item in items
        if difference.get(item.product_id, 0) > 0
    ]
    if not lost:
        return []
    return [
        NewException(
            kind=ExceptionKind.STOCK_LOST,
            subject=subject_of("order", order.id),
            cause=f"No longer in stock, waiting for more: {', '.join(lost)}.",
            order_id=order.id,
        )
    ]


def _events(order: Order, difference: Mapping[UUID, int]) -> list[DomainEvent]:
    lost = {id: more for id, more in difference.items() if more > 0}
    allocated = {id: -more for id, more in difference.items() if more < 0}
    return [
        event(
            order_id=order.id,
            number=order.number,
            customer_id=order.customer_id,
            quantities=quantities,
        )
        for event, quantities in ((OrderItemsWaiting, lost), (OrderItemsAllocated, allocated))
        if quantities
    ]


@transaction_required
def settle_lost_stock(order_ids: Sequence[UUID], *, actor: Actor) -> None:
    """Settle the exceptions of orders that had lost stock, and for which nothing waits any more."""
    if order_ids:
        about = Q(order_id__in=order_ids)
        settle_exceptions([ExceptionKind.STOCK_LOST], about=about, actor=actor)
