"""Turning events into notifications, inside the transaction of the relay."""

from __future__ import annotations

from collections.abc import Sequence

from oms.core.db import transaction_required
from oms.events.domain import DomainEvent
from oms.events.relaying import RecordedEvent
from orders.events import OrderPlaced

HEARD: tuple[type[DomainEvent], ...] = (OrderPlaced,)


@transaction_required
def queue_notifications(events: Sequence[RecordedEvent]) -> None:
    """Nobody is told of anything yet."""
