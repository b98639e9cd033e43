"""Delivering the event log to its consumers, in order and without a gap.

A consumer's handler and the change of its offset commit together, so each event takes effect in the
database once. An event is readable once every transaction that began before its own has ended:
positions are assigned before commits, so a reader that used only positions would skip late ones.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import inf
from typing import NamedTuple
from uuid import UUID

import psycopg
import structlog
from django.db import OperationalError, connection, transaction
from django.db.models.functions import Now

from oms.core.actor import Actor, ActorKind
from oms.core.errors import DeadlineExceeded, Unavailable
from oms.db.pipeline import Pipeline, execute
from oms.db.transactions import (
    DatabaseBusy,
    RetryTransaction,
    busy_on_lock_timeout,
    with_retries,
)
from oms.events.models import ConsumerOffset, DeadLetter, Event
from oms.events.reading import SETTLED, query_in_order
from oms.events.types import DomainEvent, decode
from oms.queue.leases import retry_policy

log = structlog.get_logger(__name__)

BATCH = 500
# For how many seconds the events of a batch that failed are handled one by one.
_ONE_BY_ONE_SECONDS = 5.0

# Program limit exceeded, and configuration_limit_exceeded (PostgreSQL's appendix A).
_LIMITS = ("54", "53400")

# Of the next so many rows, those that the consumer subscribes to, and the last one for its offset.
# The others, usually most of them, are not transferred. (ORDER BY transaction alone would be the
# order of the text in the result, where 10 comes before 9.)
_READABLE = f"""
    WITH batch AS MATERIALIZED (
        SELECT id, type, data, actor_kind, actor_id, actor_label, request_id, ip, occurred_at,
               transaction, position
        FROM events_event
        WHERE (transaction, position) > (%s::text::xid8, %s)
          AND {SETTLED}
        ORDER BY transaction, position
        LIMIT %s
    ), numbered AS (
        SELECT *, row_number() OVER (ORDER BY transaction DESC, position DESC) AS from_the_end,
               count(*) OVER () AS batch_size
        FROM batch
    )
    SELECT id, type, data::text, actor_kind, actor_id, actor_label, request_id, host(ip),
           occurred_at, transaction::text, position, batch_size
    FROM numbered WHERE type = ANY(%s) OR from_the_end = 1
    ORDER BY numbered.transaction, numbered.position
"""  # noqa: S608
# A lock on the row would give the transaction its number, and nothing after the number of an open
# transaction is settled: a handler that composes hundreds of mails before it writes would hold back
# everyone who follows the log.
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('consumer ' || %s, 0))"
_OFFSET = "SELECT transaction::text, position FROM events_consumeroffset WHERE consumer = %s"
# Unless another relay has, by another kind of lock, as one of another version may.
_SAVE_OFFSET = """
    UPDATE events_consumeroffset
    SET transaction = %s::text::xid8, position = %s, updated_at = now()
    WHERE consumer = %s AND transaction = %s::text::xid8 AND position = %s
"""
# The age of the oldest event that each consumer has not read, whether it subscribes to it or not.
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
    """An event as consumers get it."""

    id: UUID
    fact: DomainEvent
    actor: Actor
    occurred_at: datetime


@dataclass(frozen=True, kw_only=True)
class Consumer:
    """A subscriber to events.

    `handle` gets the events of `event_types`, oldest first, inside the transaction that also moves
    the offset. It writes rows and calls nothing outside the database.
    """

    name: str
    event_types: tuple[type[DomainEvent], ...]
    handle: Callable[[Sequence[RecordedEvent]], None]


class _Row(NamedTuple):
    """An event as it is read from the log; `data` is JSON."""

    id: UUID
    type: str
    data: str
    actor_kind: str
    actor_id: UUID | None
    actor_label: str
    request_id: str
    ip: str | None
    occurred_at: datetime
    transaction: str
    position: int
    batch_size: int


def recorded(event: Event | _Row) -> RecordedEvent:
    """The row `event` as consumers get it."""
    return RecordedEvent(
        id=event.id,
        fact=decode(event.type, event.data),
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
    """Deliver readable events to `consumer` until `deadline` of `time.monotonic`, at least a batch.

    Returns how many it handled; at least 1 if time ran out, for there is more.
    """
    handled = 0
    while True:
        count, more = with_retries(lambda: _deliver_batch(consumer))
        handled += count
        if not more:
            return handled
        if time.monotonic() >= deadline:
            return max(1, handled)


def _deliver_batch(consumer: Consumer) -> tuple[int, bool]:
    types = [event_class.type for event_class in consumer.event_types]
    with transaction.atomic():
        offset = _lock_offset(consumer)
        with Pipeline() as pipeline:
            values = [*offset, BATCH, types]
            rows = query_in_order(pipeline, _READABLE, values, make=_Row._make).rows()
        if not rows:
            return 0, False
        events = [row for row in rows if row.type in types]
        last, more = rows[-1], rows[-1].batch_size == BATCH
        if events and try_to_handle(consumer, events) is not None:
            handled = _handle_one_by_one(consumer, events)
            if handled < len(events):
                events, more = events[:handled], True
                last = events[-1]
        values = [last.transaction, last.position, consumer.name, *offset]
        if not execute(_SAVE_OFFSET, values).count():
            raise RetryTransaction
    return len(events), more


def _lock_offset(consumer: Consumer) -> tuple[str, int]:
    """The transaction and the position of the last event that `consumer` has read."""
    with Pipeline() as pipeline:
        pipeline.query(_LOCK, [consumer.name])
        found = pipeline.query(_OFFSET, [consumer.name])
    if not found.rows():
        ConsumerOffset.objects.get_or_create(consumer=consumer.name)
        found = execute(_OFFSET, [consumer.name])
    [(reached, position)] = found.rows()
    return reached, position


def _handle_one_by_one(consumer: Consumer, events: Sequence[_Row]) -> int:
    """Handle each event alone; those that fail are retried later (oms/events/dead_letters.py).

    Returns how many were handled or failed, at least one: if they wait for locks, the others are
    left for the next batch.
    """
    deadline = time.monotonic() + _ONE_BY_ONE_SECONDS
    for number, event in enumerate(events, start=1):
        error = try_to_handle(consumer, [event])
        if error is not None:
            DeadLetter.objects.create(
                consumer=consumer.name,
                event_id=event.id,
                next_attempt_at=Now() + retry_policy(DeadLetter).pause_after(1),
                last_error=repr(error),
            )
        if time.monotonic() >= deadline:
            return number
    return len(events)


def try_to_handle(consumer: Consumer, events: Sequence[Event | _Row]) -> Exception | None:
    """None if the handler succeeded; else what it raised, with its writes rolled back.

    A timeout of a lock or statement, and a limit of PostgreSQL that was exceeded, count as a
    failure, or one event could stop all others for good. Other errors of a database that is
    unavailable are raised: the events did not cause them.
    """
    try:
        with busy_on_lock_timeout(), transaction.atomic():
            consumer.handle([recorded(event) for event in events])
    except (DatabaseBusy, DeadlineExceeded) as error:
        log.warning("event_timed_out", consumer=consumer.name, events=[str(e.id) for e in events])
        return error
    except Unavailable:
        raise
    except Exception as error:  # a failing handler must not stop the other events
        if isinstance(error, OperationalError) and not _exceeds_limit(error):
            raise
        log.exception("event_failed", consumer=consumer.name, events=[str(e.id) for e in events])
        return error
    return None


def _exceeds_limit(error: OperationalError) -> bool:
    """Whether the same statement would fail again: it is too complex, its row or result too large.

    Not for lack of memory, connections or disk (class 53), which passes.
    """
    cause = error.__cause__
    state = cause.sqlstate if isinstance(cause, psycopg.Error) else None
    return state is not None and state.startswith(_LIMITS)


def consumer_lags() -> dict[str, float]:
    """The age in seconds of the oldest event that each consumer has not read; 0 if none."""
    with connection.cursor() as cursor:
        cursor.execute(_UNREAD)
        return {consumer: max(0.0, age or 0.0) for consumer, age in cursor.fetchall()}
