"""Handing the log to its consumers, in order and without a gap.

A consumer's handler and the step of its offset commit together, so each event takes effect in the
database once. An event is readable once every transaction that began before its own has ended:
positions are drawn before commits, so a reader that went by position alone would skip the late.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import inf
from typing import Any
from uuid import UUID

import structlog
from django.db import OperationalError, connection, transaction
from django.db.models.functions import Now

from oms.core.actor import Actor, ActorKind
from oms.core.db import with_retries
from oms.core.errors import Unavailable
from oms.core.leases import backoff
from oms.core.waking import wake_on_commit
from oms.events.domain import DomainEvent
from oms.events.models import ConsumerOffset, Event, ParkedEvent
from oms.events.publishing import RELAY_TASK

log = structlog.get_logger(__name__)

BATCH = 500
MAX_ATTEMPTS = 8

# Of the next so many rows, those that the consumer hears, and the last one for its offset. The
# others, which are the most, never leave the database.
_READABLE = """
    WITH batch AS MATERIALIZED (
        SELECT * FROM events_event
        WHERE (transaction, position) > (%s::text::xid8, %s)
          AND transaction < pg_snapshot_xmin(pg_current_snapshot())
        ORDER BY transaction, position
        LIMIT %s
    ), numbered AS (
        SELECT *, row_number() OVER (ORDER BY transaction DESC, position DESC) AS from_the_end,
               count(*) OVER () AS batch_size
        FROM batch
    )
    SELECT * FROM numbered WHERE type = ANY(%s) OR from_the_end = 1 ORDER BY transaction, position
"""


# The oldest event that each consumer has not read, whether it hears it or not.
_UNREAD = """
    SELECT reached.consumer, extract(epoch FROM now() - unread.occurred_at)::float8
    FROM events_consumeroffset AS reached
    LEFT JOIN LATERAL (
        SELECT occurred_at FROM events_event
        WHERE (transaction, position) > (reached.transaction, reached.position)
        ORDER BY transaction, position
        LIMIT 1
    ) AS unread ON true
"""


@dataclass(frozen=True, kw_only=True)
class RecordedEvent:
    """A fact as it stands in the log."""

    id: UUID
    fact: DomainEvent
    actor: Actor
    occurred_at: datetime


@dataclass(frozen=True, kw_only=True)
class Consumer:
    """One who hears events.

    `handle` gets the events of the classes `hears`, oldest first, inside the transaction that also
    moves the offset. It writes rows and calls nothing outside the database.
    """

    name: str
    hears: tuple[type[DomainEvent], ...]
    handle: Callable[[Sequence[RecordedEvent]], None]


def recorded(event: Event) -> RecordedEvent:
    """The row `event` as consumers get it."""
    return RecordedEvent(
        id=event.id,
        fact=event.decoded(),
        actor=Actor(
            kind=ActorKind(event.actor_kind),
            id=event.actor_id,
            label=event.actor_label,
            request_id=event.request_id,
            ip=event.ip,
        ),
        occurred_at=event.occurred_at,
    )


def deliver(consumer: Consumer, *, deadline: float = inf) -> int:
    """Hand `consumer` what is readable, until `deadline` of `time.monotonic`, but one batch always.

    Returns how many events it heard; if time ran out before it heard any, 1, for there is more.
    """
    heard = 0
    while True:
        count, more = with_retries(lambda: _deliver_batch(consumer))
        heard += count
        if not more:
            return heard
        if time.monotonic() >= deadline:
            return max(1, heard)


def _deliver_batch(consumer: Consumer) -> tuple[int, bool]:
    with transaction.atomic():
        offset = _locked_offset(consumer)
        types = [event_class.type for event_class in consumer.hears]
        rows = _readable(offset, types)
        if not rows:
            return 0, False
        events = [row for row in rows if row.type in types]
        _hand_over(consumer, events)
        offset.transaction, offset.position = rows[-1].transaction, rows[-1].position
        offset.save(update_fields=["transaction", "position", "updated_at"])
    return len(events), rows[-1].batch_size == BATCH


def _readable(offset: ConsumerOffset, types: Sequence[str]) -> list[Any]:
    # A log that has grown since it was last analysed seems so short that PostgreSQL would sort the
    # whole backlog for every batch, where its indexes have it in order.
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_sort = off")
        rows = Event.objects.raw(
            _READABLE, [str(offset.transaction), offset.position, BATCH, types]
        )
        read = list(rows)
        cursor.execute("SET LOCAL enable_sort = on")
    return read


def _locked_offset(consumer: Consumer) -> ConsumerOffset:
    offsets = ConsumerOffset.objects.select_for_update(no_key=True).filter(consumer=consumer.name)
    offset = offsets.first()
    if offset is None:
        ConsumerOffset.objects.get_or_create(consumer=consumer.name)
        offset = offsets.get()
    return offset


def _hand_over(consumer: Consumer, events: Sequence[Event]) -> None:
    if not events:
        return
    if _taken(consumer, events) is None:
        return
    for event in events:
        error = _taken(consumer, [event])
        if error is not None:
            ParkedEvent.objects.create(
                consumer=consumer.name,
                event=event,
                next_attempt_at=Now() + _pause(1),
                last_error=repr(error),
            )


def _taken(consumer: Consumer, events: Sequence[Event]) -> Exception | None:
    """None if the handler took the events; else what it raised, with its writes undone.

    A busy or lost database is nobody's fault: it is raised, and the whole batch comes again.
    """
    try:
        with transaction.atomic():
            consumer.handle([recorded(event) for event in events])
    except (OperationalError, Unavailable):
        raise
    except Exception as error:  # whatever a handler does wrong must not stop the others' events
        log.exception("event_not_taken", consumer=consumer.name, events=[str(e.id) for e in events])
        return error
    return None


def seconds_unheard() -> dict[str, float]:
    """For how long the oldest event has waited that each consumer has not read; 0 if none waits."""
    with connection.cursor() as cursor:
        cursor.execute(_UNREAD)
        return {consumer: max(0.0, waited or 0.0) for consumer, waited in cursor.fetchall()}


def retry_parked(consumer: Consumer) -> int:
    """Hand `consumer` its parked events that are due again; returns how many it took."""
    took = 0
    due = ParkedEvent.objects.filter(consumer=consumer.name, next_attempt_at__lte=Now())
    for id in list(due.order_by("event_id").values_list("pk", flat=True)[:BATCH]):
        with transaction.atomic():
            parked = (
                due.filter(pk=id)
                .select_for_update(of=("self",), skip_locked=True)
                .select_related("event")
                .first()
            )
            if parked is None:
                continue
            error = _taken(consumer, [parked.event])
            if error is None:
                parked.delete()
                took += 1
                continue
            parked.attempts += 1
            parked.last_error = repr(error)
            dead = parked.attempts >= MAX_ATTEMPTS
            parked.next_attempt_at = None if dead else Now() + _pause(parked.attempts)
            parked.save(update_fields=["attempts", "last_error", "next_attempt_at"])
    return took


def retry_parked_now(*, parked_id: int) -> None:
    """Let a parked event be handed over at once, with all its attempts before it again."""
    ParkedEvent.objects.filter(pk=parked_id).update(next_attempt_at=Now(), attempts=0)
    wake_on_commit(RELAY_TASK)


def _pause(attempts: int) -> timedelta:
    return backoff(attempts, first=5, longest=3600)
