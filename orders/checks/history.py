"""Checks of the event log: each status change of an order, and each payment, is in it once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from oms.events.archiving import first_unarchived_id
from oms.reconcile.checks import Check
from orders.states import ALLOWED


def _unarchived() -> Mapping[str, Any]:
    return {"unarchived": first_unarchived_id()}


def _allowed_transitions() -> Mapping[str, Any]:
    return {
        **_unarchived(),
        "from_status": [before for before, after in ALLOWED.items() for _ in after],
        "to_status": [status.value for after in ALLOWED.values() for status in after],
    }


HISTORY_CHECKS = (
    Check(
        name="history_starts_with_placed",
        promise="Each order's history starts with its one order.placed event.",
        sql="""
            SELECT coalesce(orders_order.id, history.object_id)::text AS id,
                   CASE WHEN orders_order.id IS NULL THEN 'no such order'
                        WHEN history.object_id IS NULL THEN 'not in the log'
                        ELSE format('placed %%s times; its first event is %%s', history.placed,
                                    history.first) END AS detail
            FROM orders_order
            FULL JOIN (
                SELECT object_id, count(*) FILTER (WHERE type = 'order.placed') AS placed,
                       (array_agg(type ORDER BY position))[1] AS first
                FROM events_event WHERE object_type = 'order' GROUP BY object_id
            ) AS history ON history.object_id = orders_order.id
            WHERE coalesce(orders_order.id, history.object_id) >= %(unarchived)s
              AND (orders_order.id IS NULL OR history.object_id IS NULL
                   OR history.placed <> 1 OR history.first <> 'order.placed')
        """,
        parameters=_unarchived,
    ),
    Check(
        name="history_transitions_allowed",
        promise="Each status change of an order continues from the last one, and is allowed.",
        sql="""
            SELECT object_id::text AS id,
                   format('%%s: from %%s to %%s, after %%s', type, previous, status, before)
                       AS detail
            FROM (
                SELECT object_id, type, data->>'previous_status' AS previous,
                       data->>'status' AS status,
                       lag(data->>'status') OVER (PARTITION BY object_id ORDER BY position)
                           AS before
                FROM events_event
                WHERE object_type = 'order' AND data->>'status' IS NOT NULL
                  AND object_id >= %(unarchived)s
            ) AS change
            WHERE type <> 'order.placed'
              AND (previous IS DISTINCT FROM before
                   OR NOT EXISTS (
                       SELECT FROM unnest(%(from_status)s::text[], %(to_status)s::text[])
                           AS allowed (from_status, to_status)
                       WHERE allowed.from_status = change.previous
                         AND allowed.to_status = change.status))
        """,
        parameters=_allowed_transitions,
    ),
    Check(
        name="history_matches_status",
        promise="An order's status is that of its last status change in the log.",
        sql="""
            SELECT orders_order.id::text AS id,
                   format('%%s, but %%s in the log', orders_order.status, logged.status) AS detail
            FROM orders_order
            LEFT JOIN (
                SELECT DISTINCT ON (object_id) object_id, data->>'status' AS status
                FROM events_event
                WHERE object_type = 'order' AND data->>'status' IS NOT NULL
                ORDER BY object_id, position DESC
            ) AS logged ON logged.object_id = orders_order.id
            WHERE logged.status IS DISTINCT FROM orders_order.status
              AND NOT (logged.status IS NULL AND orders_order.id < %(unarchived)s)
        """,
        parameters=_unarchived,
    ),
    Check(
        name="payments_logged_once",
        promise="Each captured payment and each succeeded refund is in the log once.",
        sql="""
            SELECT coalesce(settled.id, logged.object_id)::text AS id,
                   format('%%s, logged %%s times', coalesce(settled.type, logged.type),
                          coalesce(logged.times, 0)) AS detail
            FROM (
                SELECT id, 'payment.captured' AS type FROM payments_payment
                WHERE status = 'captured'
                UNION ALL
                SELECT id, 'refund.succeeded' FROM payments_refund WHERE status = 'succeeded'
            ) AS settled
            FULL JOIN (
                SELECT object_id, type, count(*) AS times
                FROM events_event
                WHERE type IN ('payment.captured', 'refund.succeeded')
                GROUP BY object_id, type
            ) AS logged ON logged.object_id = settled.id AND logged.type = settled.type
            WHERE coalesce(settled.id, logged.object_id) >= %(unarchived)s
              AND (settled.id IS NULL OR logged.times IS DISTINCT FROM 1)
        """,
        parameters=_unarchived,
    ),
)
