"""The consumer of the event log by which orders learn what they were allocated, or have lost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from inventory.events import StockAllocated, StockLost
from inventory.holdings import holdings_of
from oms.core import clock
from oms.core.actor import Actor, system
from oms.db.bulk_writes import update_rows
from oms.db.transactions import transaction_required
from oms.events.publishing import publish_all
from oms.events.relay import RecordedEvent
from oms.events.types import DomainEvent
from oms.exceptions.kinds import ExceptionKind
from oms.exceptions.operations.recording import NewException, raise_exceptions, subject_of
from orders.events import OrderItemsAllocated, OrderItemsWaiting
from orders.locks import items_of, lock_orders
from orders.models import Order, OrderItem
from orders.operations.transitions import save_transitions, settle_lost_stock

EVENT_TYPES: tuple[type[DomainEvent], ...] = (StockAllocated, StockLost)
_ACTOR = system("allocation")


@transaction_required
def apply_allocation_events(events: Sequence[RecordedEvent]) -> None:
    """Bring `quantity_waiting` of the orders of `events` up to the queue as it is now.

    Each order that changes gets a new version; one that is open, an event too, and an exception if
    it lost something, which is settled once nothing waits for it. What changed back meanwhile, or
    is known already, changes nothing. The number of statements does not depend on the number of
    events.
    """
    facts: list[Any] = [event.fact for event in events]
    orders = lock_orders(fact.order_id for fact in facts)
    items = items_of(orders)
    holdings = holdings_of(orders)
    now = clock.now()
    changed: list[Order] = []
    order_events: list[tuple[DomainEvent, Actor]] = []
    lost: list[NewException] = []
    for order in orders.values():
        waiting = {
            i.product_id: holdings[order.id].waiting_of(i.product_id) for i in items[order.id]
        }
        difference = {
            item.product_id: more
            for item in items[order.id]
            if (more := waiting[item.product_id] - item.quantity_waiting)
        }
        if not difference:
            continue
        for item in items[order.id]:
            item.quantity_waiting = waiting[item.product_id]
        order.touch(at=now)
        changed.append(order)
        if order.holds_stock:
            lost += _exceptions(order, items[order.id], difference)
            order_events += [(event, _ACTOR) for event in _events(order, difference)]
    update_rows(
        OrderItem,
        ("id", "quantity_waiting"),
        [(item.id, item.quantity_waiting) for order in changed for item in items[order.id]],
    )
    save_transitions(changed)
    publish_all(order_events, at=now)
    raise_exceptions(lost, actor=_ACTOR)
    settle_lost_stock(
        [id for id in orders if not any(item.quantity_waiting for item in items[id])],
        actor=_ACTOR,
    )


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
