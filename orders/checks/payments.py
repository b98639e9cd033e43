"""Checks of orders against their payments and refunds.

Orders whose payment events are not processed yet are skipped.
"""

from __future__ import annotations

from oms.events.archiving import first_unarchived_id
from oms.reconcile.checks import Check

# The orders with payment events that the consumer "orders" has not processed.
_UNPROCESSED = """
    unprocessed AS (
        SELECT (event.data->>'order_id')::uuid AS order_id
        FROM events_event AS event
        WHERE event.object_type IN ('payment', 'refund')
          AND (event.transaction, event.position) > (
              coalesce((SELECT transaction FROM events_consumeroffset WHERE consumer = 'orders'),
                       '0'::xid8),
              coalesce((SELECT position FROM events_consumeroffset WHERE consumer = 'orders'), 0))
        UNION
        SELECT (event.data->>'order_id')::uuid
        FROM events_parkedevent AS dead_letter
        JOIN events_event AS event ON event.id = dead_letter.event_id
        WHERE dead_letter.consumer = 'orders'
    )
"""

PAYMENT_CHECKS = (
    Check(
        name="payment_amounts",
        promise="Every payment is for an existing order, and its total when it was requested.",
        sql="""
            SELECT payment.id::text AS id,
                   format('%%s %%s for the order %%s of %%s %%s', payment.amount,
                          payment.currency, payment.order_id, orders_order.total,
                          orders_order.currency) AS detail
            FROM payments_payment AS payment
            LEFT JOIN orders_order ON orders_order.id = payment.order_id
            LEFT JOIN (
                SELECT order_id, sum(amount) AS amount FROM orders_cancellation GROUP BY order_id
            ) AS cancelled ON cancelled.order_id = payment.order_id
            WHERE orders_order.id IS NULL
               OR (payment.status NOT IN ('failed', 'voided')
                   AND (payment.currency <> orders_order.currency
                        OR payment.amount < orders_order.total
                        OR payment.amount
                            > orders_order.total + coalesce(cancelled.amount, 0)))
               OR (payment.status = 'captured' AND payment.captured_amount <> payment.amount)
        """,
    ),
    Check(
        name="payment_status_by_payments",
        promise="An order's payment status follows from its payments and refunds.",
        ctes=_UNPROCESSED,
        # An order shows an authorised payment only as in progress.
        sql="""
            SELECT id::text AS id,
                   format('%%s, should be %%s by its payments', payment_status, expected)
                       AS detail
            FROM (
                SELECT orders_order.id, orders_order.payment_status,
                       CASE
                           WHEN orders_order.total = 0 AND payments.newest IS NULL
                                AND cancelled.order_id IS NULL THEN 'paid'
                           WHEN payments.captured > 0 AND coalesce(refunds.amount, 0) = 0
                               THEN 'paid'
                           WHEN payments.captured > 0 AND refunds.amount < payments.captured
                               THEN 'partially_refunded'
                           WHEN payments.captured > 0 THEN 'refunded'
                           WHEN payments.newest IS NULL OR payments.newest = 'voided'
                               THEN 'unpaid'
                           WHEN payments.newest = 'failed' THEN 'failed'
                           WHEN payments.newest = 'unknown' THEN 'unknown'
                           WHEN payments.newest = 'authorized'
                                AND orders_order.payment_status = 'unknown' THEN 'unknown'
                           ELSE 'processing' END AS expected
                FROM orders_order
                LEFT JOIN (
                    SELECT order_id, sum(captured_amount) AS captured,
                           (array_agg(status ORDER BY id DESC))[1] AS newest
                    FROM payments_payment GROUP BY order_id
                ) AS payments ON payments.order_id = orders_order.id
                LEFT JOIN (
                    SELECT order_id, sum(amount) AS amount
                    FROM payments_refund WHERE status = 'succeeded' GROUP BY order_id
                ) AS refunds ON refunds.order_id = orders_order.id
                LEFT JOIN (
                    SELECT DISTINCT order_id FROM orders_cancellation WHERE amount > 0
                ) AS cancelled ON cancelled.order_id = orders_order.id
            ) AS state
            WHERE payment_status <> expected
              AND NOT EXISTS (SELECT FROM unprocessed WHERE unprocessed.order_id = state.id)
        """,
    ),
    Check(
        name="paid_orders_confirmed",
        promise="No paid order is left pending, and no cancelled or expired one keeps money.",
        ctes=_UNPROCESSED,
        # A refund that the provider refused leaves money with us: reported until it is refunded.
        sql="""
            SELECT orders_order.id::text AS id,
                   format('%%s, with a payment %%s: captured %%s, refunded %%s',
                          orders_order.status, payment.status, payment.captured_amount,
                          payment.refunded_amount) AS detail
            FROM orders_order
            JOIN payments_payment AS payment ON payment.order_id = orders_order.id
            WHERE ((orders_order.status = 'pending'
                    AND payment.status IN ('authorized', 'captured'))
                OR (orders_order.status IN ('cancelled', 'expired')
                    AND payment.captured_amount > payment.refunded_amount)
                OR (orders_order.status IN ('cancelled', 'expired')
                    AND payment.status = 'authorized' AND payment.wanted = ''))
              AND NOT EXISTS (
                  SELECT FROM unprocessed WHERE unprocessed.order_id = orders_order.id)
        """,
    ),
    Check(
        name="order_payment_events_once",
        promise="Each capture and refund has one order.paid or order.refunded event.",
        ctes=_UNPROCESSED,
        sql="""
            SELECT settled.order_id::text AS id,
                   format('%%s %%s, logged %%s times', settled.type, settled.id,
                          coalesce(logged.times, 0)) AS detail
            FROM (
                SELECT id, order_id, 'order.paid' AS type FROM payments_payment
                WHERE status = 'captured'
                UNION ALL
                SELECT id, order_id, 'order.refunded' FROM payments_refund
                WHERE status = 'succeeded'
            ) AS settled
            LEFT JOIN (
                SELECT coalesce(data->>'refund_id', data->>'payment_id')::uuid AS id, type,
                       count(*) AS times
                FROM events_event WHERE type IN ('order.paid', 'order.refunded')
                GROUP BY 1, 2
            ) AS logged ON logged.id = settled.id AND logged.type = settled.type
            WHERE logged.times IS DISTINCT FROM 1
              AND settled.id >= %(unarchived)s
              AND NOT EXISTS (
                  SELECT FROM unprocessed WHERE unprocessed.order_id = settled.order_id)
        """,
        parameters=lambda: {"unarchived": first_unarchived_id()},
    ),
)
