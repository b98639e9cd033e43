"""What the demo shop's customers and staff were told of the newest events."""

from __future__ import annotations

from django.db import connection

from notifications.operations.queueing import HEARD, queue_notifications
from oms.events.models import Event
from oms.events.relaying import recorded

# Each message is rendered, so of a long past only the newest events have theirs.
_NEWEST = 1_500
_AT_ONCE = 250

# Mail was sent, and everything written, at the time of its event.
_BACKDATE = """
    UPDATE notifications_notification AS told
    SET state = 'sent', sent_at = event.occurred_at, created_at = event.occurred_at,
        next_attempt_at = NULL
    FROM events_event AS event WHERE event.id = told.event_id
"""


def tell_the_newest() -> None:
    """Write the notifications of the newest events, as sent long ago."""
    types = [fact.type for fact in HEARD]
    newest = Event.objects.filter(type__in=types).order_by("-position")[:_NEWEST]
    events = [recorded(event) for event in reversed(newest)]
    for start in range(0, len(events), _AT_ONCE):
        queue_notifications(events[start : start + _AT_ONCE])
    with connection.cursor() as cursor:
        cursor.execute(_BACKDATE)
