"""What the demo shop's customers and staff were told of its past."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from notifications.models import Kind
from notifications.operations.subscriptions import EVENT_TYPES, queue_notifications
from oms.core.ids import first_id_at
from oms.events.models import Event
from oms.events.relay import recorded
from oms.events.types import DomainEvent
from orders.events import (
    OrderCancelled,
    OrderDelivered,
    OrderExpired,
    OrderPaid,
    OrderPaymentFailed,
    OrderPlaced,
    OrderRefunded,
    ShipmentSent,
)

# Each of the newest messages is rendered as the shop does it, which takes its time.
_NEWEST = 1_500
_AT_ONCE = 250
# Older ones have a short text, and of what is longer ago nobody has kept any.
_KEPT = timedelta(days=365)

# Mail was sent, and everything written, at the time of its event. So the ids begin like the event's
# own: they are UUIDv7 (RFC 9562) of that moment.
_BACKDATE = """
    UPDATE notifications_notification AS told
    SET id = written.id, message_id = replace(told.message_id, told.id::text, written.id::text),
        state = 'sent', sent_at = event.occurred_at, created_at = event.occurred_at,
        next_attempt_at = NULL
    FROM events_event AS event, notifications_notification AS old
    CROSS JOIN LATERAL (
        SELECT (left(old.event_id::text, 20)
                || right(md5(old.event_id || old.channel || old.email)::uuid::text, 16))::uuid AS id
    ) AS written
    WHERE event.id = ANY(%s) AND event.id = told.event_id AND old.id = told.id
"""

_SUBJECTS: Mapping[type[DomainEvent], tuple[Kind, str]] = {
    OrderPlaced: (Kind.ORDER_PLACED, "Your order %s"),
    OrderPaid: (Kind.ORDER_PAID, "Payment received for order %s"),
    OrderPaymentFailed: (Kind.PAYMENT_FAILED, "The payment for order %s failed"),
    ShipmentSent: (Kind.ORDER_SHIPPED, "Order %s is on its way"),
    OrderDelivered: (Kind.ORDER_DELIVERED, "Order %s has been delivered"),
    OrderCancelled: (Kind.ORDER_CANCELLED, "Order %s is cancelled"),
    OrderExpired: (Kind.ORDER_EXPIRED, "Order %s has expired"),
    OrderRefunded: (Kind.ORDER_REFUNDED, "A refund for order %s"),
}

_TELL = """
    INSERT INTO notifications_notification (id, event_id, recipient_id, email, channel, kind,
        subject, body, body_html, order_id, state, message_id, created_at, sent_at, read_at,
        attempts, next_attempt_at, fencing_token, last_error)
    SELECT told.id, event.id, customer.id, customer.email, channel.name, kind.name,
           format(kind.subject, event.data->>'number'),
           format(kind.subject, event.data->>'number') || '.', '', event.object_id, 'sent',
           CASE WHEN channel.name = 'email' THEN '<' || told.id || '@example.com>' ELSE '' END,
           event.occurred_at, event.occurred_at,
           CASE WHEN channel.name = 'in_app' AND hashtext(event.id::text) %% 3 <> 0
                THEN event.occurred_at + interval '1 day' END,
           channel.attempts, NULL, channel.attempts, ''
    FROM events_event AS event
    JOIN unnest(%(types)s::text[], %(kinds)s::text[], %(subjects)s::text[])
         AS kind (type, name, subject) ON kind.type = event.type
    JOIN users_user AS customer ON customer.id = (event.data->>'customer_id')::uuid
    CROSS JOIN (VALUES ('email', 1), ('in_app', 0)) AS channel (name, attempts)
    CROSS JOIN LATERAL (
        SELECT (left(event.id::text, 20)
                || right(md5(event.id || channel.name)::uuid::text, 16))::uuid AS id
    ) AS told
    WHERE event.id < %(before)s AND event.occurred_at >= %(since)s
"""


def tell_the_past(*, now: datetime) -> None:
    """Write the notifications of all but the newest events, as sent long ago, in a few words."""
    newest = list(_newest().values_list("id", flat=True))
    with connection.cursor() as cursor:
        cursor.execute(
            _TELL,
            {
                "types": [fact.type for fact in _SUBJECTS],
                "kinds": [kind.value for kind, _ in _SUBJECTS.values()],
                "subjects": [subject for _, subject in _SUBJECTS.values()],
                "before": min(newest, default=first_id_at(now)),
                "since": now - _KEPT,
            },
        )


def tell_the_newest() -> None:
    """Write the notifications of the newest events as the shop does, as sent at their time."""
    events = [recorded(event) for event in reversed(_newest())]
    for start in range(0, len(events), _AT_ONCE):
        queue_notifications(events[start : start + _AT_ONCE])
    with connection.cursor() as cursor:
        cursor.execute(_BACKDATE, [[event.id for event in events]])


def _newest() -> Any:
    return Event.objects.filter(type__in=[fact.type for fact in EVENT_TYPES]).order_by("-id")[
        :_NEWEST
    ]
