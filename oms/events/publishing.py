"""Appending to the log, in the transaction of the change itself."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from oms.core import clock
from oms.core.actor import Actor
from oms.core.ids import new_id
from oms.db.bulk_writes import insert_rows
from oms.db.pipeline import Pipeline
from oms.db.transactions import transaction_required
from oms.events.models import Event
from oms.events.types import DomainEvent, encode
from oms.queue.wakeups import wake_on_commit

# The task of oms/subscriptions.py that delivers the log to its consumers.
RELAY_TASK = "oms.relay_events"

_COLUMNS = (
    "id",
    "type",
    "object_type",
    "object_id",
    "data",
    "actor_kind",
    "actor_id",
    "actor_label",
    "request_id",
    "ip",
    "occurred_at",
)


def publish(*events: DomainEvent, actor: Actor, at: datetime | None = None) -> None:
    """Append `events` to the log as caused by `actor`, and wake the relay on commit."""
    publish_all([(event, actor) for event in events], at=at)


@transaction_required
def publish_all(
    events: Iterable[tuple[DomainEvent, Actor]],
    *,
    at: datetime | None = None,
    pipeline: Pipeline | None = None,
) -> None:
    """The same for many events, each with its actor, in one statement. `at` is now by default."""
    occurred_at = at or clock.now()
    rows = [
        (
            new_id(),
            event.type,
            event.object_type,
            event.object_id,
            encode(event),
            actor.kind.value,
            actor.id,
            actor.label,
            actor.request_id,
            actor.ip,
            occurred_at,
        )
        for event, actor in events
    ]
    if rows:
        insert_rows(Event, _COLUMNS, rows, pipeline=pipeline)
        wake_on_commit(RELAY_TASK)
