"""What must hold of the log: each step of an order and of its money stands in it, once."""

from __future__ import annotations

from oms.reconcile.checks import Check
from orders.states import ALLOWED

_STEPS = {
    "from_status": [before for before, after in ALLOWED.items() for _ in after],
    "to_status": [status.value for after in ALLOWED.values() for status in after],
}

HISTORY_CHECKS = (
    Check(
        name="histories_begin_with_placing",
        promise="Each order was placed once, before anything else, and the log knows no others.",
        sql="""
            SELECT coalesce(orders_order.id, story.object_id)::text AS id,
                   CASE WHEN orders_order.id IS NULL THEN 'there is no such order'
                        WHEN story.object_id IS NULL THEN 'the log does not know it'
                        ELSE format('placed %%s times; its first event is %%s', story.placed,
                                    story.first) END AS detail
            FROM orders_order
            FULL JOIN (
                SELECT object_id, count(*) FILTER (WHERE type = 'order.placed') AS placed,
                       (array_agg(type ORDER BY position))[1] AS first
                FROM events_event WHERE object_type = 'order' GROUP BY object_id
            ) AS story ON story.object_id = orders_order.id
            WHERE coalesce(orders_order.id, story.object_id) >= %(unarchived)s
              AND (orders_order.id IS NULL OR story.object_id IS NULL
                   OR story.placed <> 1 OR story.first <> 'order.placed')
        """,
    ),
    Check(
        name="histories_are_legal",
        promise="Each step of an order goes on from the step before, and is allowed.",
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
            ) AS step
            WHERE type <> 'order.placed'
              AND (previous IS DISTINCT FROM before
                   OR NOT EXISTS (
                       SELECT FROM unnest(%(from_status)s::text[], %(to_status)s::text[])
                           AS allowed (from_status, to_status)
                       WHERE allowed.from_status = step.previous
                         AND allowed.to_status = step.status))
        """,
        parameters=_STEPS,
    ),
    Check(
        name="histories_end_in_the_status",
        promise="An order's status is the one that the log told last.",
        sql="""
            SELECT orders_order.id::text AS id,
                   format('%%s, but the log says %%s', orders_order.status, told.status) AS detail
            FROM orders_order
            LEFT JOIN (
                SELECT DISTINCT ON (object_id) object_id, data->>'status' AS status
                FROM events_event
                WHERE object_type = 'order' AND data->>'status' IS NOT NULL
                ORDER BY object_id, position DESC
            ) AS told ON told.object_id = orders_order.id
            WHERE told.status IS DISTINCT FROM orders_order.status
              AND NOT (told.status IS NULL AND orders_order.id < %(unarchived)s)
        """,
    ),
    Check(
        name="money_is_in_the_log",
        promise="Each capture and each refund that succeeded stands in the log once.",
        sql="""
            SELECT coalesce(moved.id, told.object_id)::text AS id,
                   format('%%s, told %%s times', coalesce(moved.what, told.type),
                          coalesce(told.times, 0)) AS detail
            FROM (
                SELECT id, 'payment.captured' AS what FROM payments_payment
                WHERE status = 'captured'
                UNION ALL
                SELECT id, 'refund.succeeded' FROM payments_refund WHERE status = 'succeeded'
            ) AS moved
            FULL JOIN (
                SELECT object_id, type, count(*) AS times
                FROM events_event
                WHERE type IN ('payment.captured', 'refund.succeeded')
                GROUP BY object_id, type
            ) AS told ON told.object_id = moved.id AND told.type = moved.what
            WHERE coalesce(moved.id, told.object_id) >= %(unarchived)s
              AND (moved.id IS NULL OR told.times IS DISTINCT FROM 1)
        """,
    ),
    Check(
        name="orders_heard_of_their_money",
        promise="Each order told once of each capture and each refund of its money.",
        sql="""
            SELECT moved.order_id::text AS id,
                   format('%%s %%s, told %%s times', moved.what, moved.id,
                          coalesce(told.times, 0)) AS detail
            FROM (
                SELECT id, order_id, 'order.paid' AS what FROM payments_payment
                WHERE status = 'captured'
                UNION ALL
                SELECT id, order_id, 'order.refunded' FROM payments_refund
                WHERE status = 'succeeded'
            ) AS moved
            LEFT JOIN (
                SELECT coalesce(data->>'refund_id', data->>'payment_id')::uuid AS id, type,
                       count(*) AS times
                FROM events_event WHERE type IN ('order.paid', 'order.refunded')
                GROUP BY 1, 2
            ) AS told ON told.id = moved.id AND told.type = moved.what
            WHERE told.times IS DISTINCT FROM 1
              AND moved.id >= %(unarchived)s
              AND NOT EXISTS (SELECT FROM unheard WHERE unheard.order_id = moved.order_id)
        """,
    ),
)
