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
        name="payments_of_orders",
        promise="Every payment of the shop is for an existing order, in its currency.",
        sql="""
            SELECT payment.id::text AS id,
                   format('%%s %%s for the order %%s in %%s', payment.amount, payment.currency,
                          payment.order_id, orders_order.currency) AS detail
            FROM payments_payment AS payment
            LEFT JOIN orders_order ON orders_order.id = payment.order_id
            WHERE payment.origin = 'shop'
              AND payment.currency IS DISTINCT FROM orders_order.currency
        """,
    ),
    Check(
        name="order_not_overpaid",
        promise="No more than an order's total is kept of it, or it has an exception.",
        ctes=_UNPROCESSED,
        sql="""
            SELECT orders_order.id::text AS id,
                   format('%%s of %%s', payments.kept, orders_order.total) AS detail
            FROM orders_order
            JOIN (
                SELECT order_id, currency, sum(greatest(captured_amount - refunded_amount, 0))
                           AS kept
                FROM payments_payment GROUP BY order_id, currency
            ) AS payments ON payments.order_id = orders_order.id
                         AND payments.currency = orders_order.currency
            WHERE payments.kept > orders_order.total
              AND NOT EXISTS (
                  SELECT FROM exceptions_exceptionrecord AS exception
                  WHERE exception.order_id = orders_order.id
                    AND exception.kind IN ('captured_amount_differs', 'captured_after_final',
                                           'charge_at_provider', 'refund_failed'))
              AND NOT EXISTS (
                  SELECT FROM unprocessed WHERE unprocessed.order_id = orders_order.id)
        """,
    ),
    Check(
        name="payment_status_by_payments",
        promise="An order's payment status follows from its payments and refunds.",
        ctes=_UNPROCESSED,
        # As orders/payment_status.py; orders of before 0009 show an authorised payment as in
        # progress.
        sql="""
            SELECT id::text AS id,
                   format('%%s, should be %%s by its payments', payment_status, expected)
                       AS detail
            FROM (
                SELECT orders_order.id, orders_order.payment_status,
                       CASE
                           WHEN payments.captured > payments.refunded AND payments.refunded > 0
                                AND (payments.captured >= orders_order.total
                                     OR orders_order.status IN ('cancelled', 'expired'))
                               THEN 'partially_refunded'
                           WHEN payments.captured > payments.refunded
                                AND payments.captured >= orders_order.total THEN 'paid'
                           WHEN orders_order.total = 0 AND coalesce(payments.captured, 0) = 0
                                AND (orders_order.status NOT IN ('cancelled', 'expired')
                                     OR orders_order.payment_status = 'paid')
                                AND coalesce(payments.newest, '') NOT IN
                                    ('created', 'processing', 'unknown', 'authorized')
                               THEN 'paid'
                           WHEN payments.newest IN ('created', 'processing') THEN 'processing'
                           WHEN payments.newest = 'unknown' THEN 'unknown'
                           WHEN payments.newest = 'authorized'
                               THEN CASE WHEN orders_order.payment_status = 'processing'
                                    THEN 'processing' ELSE 'authorized' END
                           WHEN payments.captured > payments.refunded THEN 'partially_paid'
                           WHEN payments.captured > 0
                                AND payments.captured >= orders_order.total THEN 'refunded'
                           -- What was returned before it ended stays as it was shown then.
                           WHEN payments.captured > 0
                                AND orders_order.status IN ('cancelled', 'expired')
                                AND payment_status NOT IN ('unpaid', 'failed') THEN 'refunded'
                           WHEN payments.newest = 'failed' THEN 'failed'
                           ELSE 'unpaid' END AS expected
                FROM orders_order
                LEFT JOIN (
                    SELECT payment.order_id, payment.currency,
                           sum(payment.captured_amount) AS captured,
                           sum(coalesce(refunds.amount, 0)) AS refunded,
                           (array_agg(payment.status ORDER BY payment.id DESC)
                               FILTER (WHERE payment.origin = 'shop'))[1] AS newest
                    FROM payments_payment AS payment
                    LEFT JOIN (
                        SELECT payment_id, sum(amount) AS amount
                        FROM payments_refund WHERE status = 'succeeded' GROUP BY payment_id
                    ) AS refunds ON refunds.payment_id = payment.id
                    GROUP BY payment.order_id, payment.currency
                ) AS payments ON payments.order_id = orders_order.id
                             AND payments.currency = orders_order.currency
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
                SELECT id, order_id, currency, 'order.paid' AS type FROM payments_payment
                WHERE status = 'captured'
                UNION ALL
                SELECT id, order_id, currency, 'order.refunded' FROM payments_refund
                WHERE status = 'succeeded'
            ) AS settled
            JOIN orders_order ON orders_order.id = settled.order_id
                             AND orders_order.currency = settled.currency
            LEFT JOIN (
                SELECT coalesce(data->>'refund_id', data->>'payment_id')::uuid AS id,
                       replace(type, 'partially_', '') AS type, count(*) AS times
                FROM events_event
                WHERE type IN ('order.paid', 'order.partially_paid', 'order.refunded')
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
