"""The consumer of the event log by which orders learn what they were allocated, or have lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from inventory.events import StockAllocated, StockLost
from inventory.holdings import holdings_of
from oms.core import clock
from oms.db.bulk_writes import update_rows
from oms.db.transactions import transaction_required
from oms.events.relay import RecordedEvent
from oms.events.types import DomainEvent
from orders.locks import items_of, lock_orders
from orders.models import OrderItem
from orders.operations.transitions import save_transitions
from orders.operations.waiting import ALLOCATION, learn_waiting, settle_lost_stock

EVENT_TYPES: tuple[type[DomainEvent], ...] = (StockAllocated, StockLost)


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
    changed = learn_waiting({order: items[id] for id, order in orders.items()}, holdings, at=now)
    for order in changed:
        order.touch(at=now)
    update_rows(
        OrderItem,
        ("id", "quantity_waiting"),
        [(item.id, item.quantity_waiting) for order in changed for item in items[order.id]],
    )
    save_transitions(changed)
    settle_lost_stock(
        [id for id in orders if not any(item.quantity_waiting for item in items[id])],
        actor=ALLOCATION,
    )
