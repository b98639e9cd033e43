"""Notifications of the demo shop's events, as sent at the time of each event."""

from __future__ import annotations

from django.db import connection

from notifications.operations.subscriptions import EVENT_TYPES, queue_notifications
from oms.events.models import Event
from oms.events.relay import recorded
from oms.subscriptions import CONSUMERS

_BATCH = 250
# Ids are UUIDv7 (RFC 9562) of the event's time: they begin as the event's own.
_BACKDATE = """
    UPDATE notifications_notification AS notification
    SET id = dated.id,
        message_id = replace(notification.message_id, notification.id::text, dated.id::text),
        state = 'sent', sent_at = event.occurred_at, created_at = event.occurred_at,
        next_attempt_at = NULL
    FROM events_event AS event, notifications_notification AS old
    CROSS JOIN LATERAL (
        SELECT (left(old.event_id::text, 20)
                || right(md5(old.event_id || old.channel || old.email)::uuid::text, 16))::uuid AS id
    ) AS dated
    WHERE event.id = notification.event_id AND old.id = notification.id
"""
_SKIP_EVENTS = """
    INSERT INTO events_consumeroffset (consumer, transaction, position, updated_at)
    SELECT name, last.transaction, last.position, now()
    FROM unnest(%s::text[]) AS name,
         (SELECT transaction, position FROM events_event
          WHERE transaction = pg_current_xact_id() ORDER BY position DESC LIMIT 1) AS last
    ON CONFLICT (consumer) DO UPDATE
    SET transaction = excluded.transaction, position = excluded.position,
        updated_at = excluded.updated_at
"""


def notify_as_sent() -> None:
    """Create the notifications of all events in the log, and send no mail."""
    types = [event_type.type for event_type in EVENT_TYPES]
    events = [recorded(event) for event in Event.objects.filter(type__in=types).order_by("id")]
    for start in range(0, len(events), _BATCH):
        queue_notifications(events[start : start + _BATCH])
    with connection.cursor() as cursor:
        cursor.execute(_BACKDATE)


def skip_seeded_events() -> None:
    """Move every consumer of the log past the events of this transaction.

    No consumer can have read any of them, nor anything later, before it commits.
    """
    with connection.cursor() as cursor:
        cursor.execute(_SKIP_EVENTS, [[consumer.name for consumer in CONSUMERS]])
