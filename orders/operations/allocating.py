"""The consumer of the event log by which orders learn what they were allocated, or have lost."""

from __future__ import annotations

from collections.abc import Sequence
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
from orders.events import OrderItemsAllocated, OrderItemsWaiting
from orders.locks import items_of, lock_orders
from orders.models import Order, OrderItem
from orders.operations.transitions import save_transitions

EVENT_TYPES: tuple[type[DomainEvent], ...] = (StockAllocated, StockLost)
_ACTOR = system("allocation")


@transaction_required
def apply_allocation_events(events: Sequence[RecordedEvent]) -> None:
    """Bring `quantity_waiting` of the orders of `events` up to the queue as it is now.

    Each order that changes gets a new version; one that is open, an event too. What changed back
    meanwhile, or is known already, changes nothing. The number of statements does not depend on
    the number of events.
    """
    facts: list[Any] = [event.fact for event in events]
    orders = lock_orders(fact.order_id for fact in facts)
    items = items_of(orders)
    holdings = holdings_of(orders)
    now = clock.now()
    changed: list[Order] = []
    order_events: list[tuple[DomainEvent, Actor]] = []
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
            order_events += [(event, _ACTOR) for event in _events(order, difference)]
    update_rows(
        OrderItem,
        ("id", "quantity_waiting"),
        [(item.id, item.quantity_waiting) for order in changed for item in items[order.id]],
    )
    save_transitions(changed)
    publish_all(order_events, at=now)


def _events(order: Order, difference: dict[UUID, int]) -> list[DomainEvent]:
    who = {"order_id": order.id, "number": order.number, "customer_id": order.customer_id}
    lost = {id: more for id, more in difference.items() if more > 0}
    allocated = {id: -more for id, more in difference.items() if more < 0}
    return [
        event(**who, quantities=quantities)
        for event, quantities in ((OrderItemsWaiting, lost), (OrderItemsAllocated, allocated))
        if quantities
    ]
