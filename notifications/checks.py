"""Checks of notifications against the events that they are about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings

from notifications.after_sales_messages import AFTER_SALES_MESSAGES, SOMETIMES
from notifications.messages import ORDER_MESSAGES
from oms.events.archiving import first_unarchived_id
from oms.reconcile.checks import Check


def notification_checks(*, unsent_request_id: str) -> tuple[Check, ...]:
    """The checks; events of that request may have no notifications at all."""

    def parameters() -> Mapping[str, Any]:
        return {
            "types": [
                event.type
                for event in (*ORDER_MESSAGES, *AFTER_SALES_MESSAGES)
                if event not in SOMETIMES
            ],
            "unsent": unsent_request_id,
            "kept": settings.NOTIFICATION_RETENTION_DAYS,
        }

    return (
        Check(
            name="notifications_once_per_event",
            promise="Each event of an order has one e-mail and one in-app notification.",
            sql="""
                SELECT event.id::text AS id,
                       format('%%s: %%s e-mails, %%s in-app', event.type,
                              coalesce(sent.mails, 0), coalesce(sent.in_app, 0)) AS detail
                FROM events_event AS event
                LEFT JOIN (
                    SELECT event_id, count(*) FILTER (WHERE channel = 'email') AS mails,
                           count(*) FILTER (WHERE channel = 'in_app') AS in_app
                    FROM notifications_notification GROUP BY event_id
                ) AS sent ON sent.event_id = event.id
                WHERE event.type = ANY(%(types)s)
                  AND (coalesce(sent.mails, 0), coalesce(sent.in_app, 0)) <> (1, 1)
                  AND (%(kept)s = 0
                       OR event.occurred_at > now() - make_interval(days => %(kept)s))
                  AND NOT (sent.event_id IS NULL AND event.request_id = %(unsent)s)
                  AND (event.transaction, event.position) <= (
                      SELECT transaction, position FROM events_consumeroffset
                      WHERE consumer = 'notifications')
                  AND NOT EXISTS (
                      SELECT FROM events_parkedevent AS dead_letter
                      WHERE dead_letter.consumer = 'notifications'
                        AND dead_letter.event_id = event.id)
            """,
            parameters=parameters,
        ),
        Check(
            name="notifications_have_events",
            promise="Every notification is about an event in the log.",
            sql="""
                SELECT notification.id::text AS id,
                       format('%%s about the unknown event %%s', notification.kind,
                              notification.event_id) AS detail
                FROM notifications_notification AS notification
                WHERE notification.event_id >= %(unarchived)s
                  AND NOT EXISTS (
                      SELECT FROM events_event WHERE events_event.id = notification.event_id)
            """,
            parameters=lambda: {"unarchived": first_unarchived_id()},
        ),
    )
