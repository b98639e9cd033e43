"""What must hold of those who hear the log: nobody is stuck, and everybody was told once."""

from __future__ import annotations

from django.conf import settings

from notifications.messages import WORDINGS
from oms.demo.events import DEMO_REQUEST
from oms.reconcile.checks import Check
from oms.subscriptions import CONSUMERS
from orders.events import OrderFact

# For how many seconds an event may wait before its consumer counts as stuck.
_PATIENCE = 120

HEARING_CHECKS = (
    Check(
        name="consumers_keep_up",
        promise="No consumer of the log leaves an event unread for more than two minutes.",
        # Only what is readable counts: events wait for every transaction that began before theirs.
        sql="""
            SELECT name AS id,
                   format('%%s events wait, the oldest since %%s', waiting.number, waiting.since)
                       AS detail
            FROM unnest(%(consumers)s::text[]) AS name
            LEFT JOIN events_consumeroffset AS reached ON reached.consumer = name
            CROSS JOIN LATERAL (
                SELECT count(*) AS number, min(occurred_at) AS since
                FROM events_event
                WHERE (transaction, position) > (coalesce(reached.transaction, '0'::xid8),
                                                 coalesce(reached.position, 0))
                  AND transaction < pg_snapshot_xmin(pg_current_snapshot())
            ) AS waiting
            WHERE waiting.since < now() - make_interval(secs => %(patience)s)
        """,
        parameters={
            "consumers": [consumer.name for consumer in CONSUMERS],
            "patience": _PATIENCE,
        },
    ),
    Check(
        name="the_log_is_of_this_server",
        promise="No consumer of the log is ahead of the transactions of this server.",
        # After a dump was restored on another one, nothing new would be heard, and nobody miss it.
        sql="""
            SELECT consumer AS id,
                   format('has read up to transaction %%s, and the server is at %%s; see'
                          ' docs/event-log.md', transaction, next) AS detail
            FROM events_consumeroffset, pg_snapshot_xmax(pg_current_snapshot()) AS next
            WHERE transaction > next
        """,
    ),
    Check(
        name="no_event_was_given_up",
        promise="No consumer has given up an event that it could not take.",
        sql="""
            SELECT event.id::text AS id,
                   format('%%s could not take %%s in %%s attempts: %%s', parked.consumer,
                          event.type, parked.attempts, left(parked.last_error, 200)) AS detail
            FROM events_parkedevent AS parked
            JOIN events_event AS event ON event.id = parked.event_id
            WHERE parked.next_attempt_at IS NULL
        """,
    ),
    Check(
        name="everyone_is_told_once",
        promise="Each fact about an order has one e-mail and one in-app notification.",
        # Nobody was told of the demo shop's made-up past, but for its newest events.
        sql="""
            SELECT event.id::text AS id,
                   format('%%s: %%s e-mails, %%s in-app', event.type, coalesce(told.mails, 0),
                          coalesce(told.in_app, 0)) AS detail
            FROM events_event AS event
            LEFT JOIN (
                SELECT event_id, count(*) FILTER (WHERE channel = 'email') AS mails,
                       count(*) FILTER (WHERE channel = 'in_app') AS in_app
                FROM notifications_notification GROUP BY event_id
            ) AS told ON told.event_id = event.id
            WHERE event.type = ANY(%(types)s)
              AND (coalesce(told.mails, 0), coalesce(told.in_app, 0)) <> (1, 1)
              AND (%(kept)s = 0 OR event.occurred_at > now() - make_interval(days => %(kept)s))
              AND NOT (told.event_id IS NULL AND event.request_id = %(demo)s)
              AND (event.transaction, event.position) <= (
                  SELECT transaction, position FROM events_consumeroffset
                  WHERE consumer = 'notifications')
              AND NOT EXISTS (
                  SELECT FROM events_parkedevent AS parked
                  WHERE parked.consumer = 'notifications' AND parked.event_id = event.id)
        """,
        parameters={
            "types": [fact.type for fact in WORDINGS if issubclass(fact, OrderFact)],
            "demo": DEMO_REQUEST,
            "kept": settings.NOTIFICATION_RETENTION_DAYS,
        },
    ),
    Check(
        name="notifications_are_of_events",
        promise="Nobody is told of what the log does not know.",
        sql="""
            SELECT told.id::text AS id,
                   format('%%s about the unknown event %%s', told.kind, told.event_id) AS detail
            FROM notifications_notification AS told
            WHERE told.event_id >= %(unarchived)s
              AND NOT EXISTS (SELECT FROM events_event WHERE events_event.id = told.event_id)
        """,
    ),
    Check(
        name="acknowledged_orders_exist",
        promise="What a client was told to be placed exists.",
        # The stored answers of calls with an idempotency key: one order (201), or many (207).
        sql="""
            SELECT said.id AS id, format('the answer of %%s names it', said.created_at) AS detail
            FROM (
                SELECT answer.created_at, placed.document->>'id' AS id
                FROM (
                    SELECT created_at, CASE WHEN get_byte(body, 0) = 123
                        THEN convert_from(body, 'UTF8')::jsonb END AS document
                    FROM http_idempotencyrecord
                    WHERE status IN (201, 207) AND length(body) > 0
                ) AS answer
                CROSS JOIN LATERAL (
                    SELECT answer.document WHERE answer.document ? 'placed_at'
                    UNION ALL
                    SELECT jsonb_path_query(answer.document, '$.results[*].order')
                ) AS placed (document)
            ) AS said
            WHERE NOT EXISTS (SELECT FROM orders_order WHERE orders_order.id = said.id::uuid)
        """,
    ),
)
