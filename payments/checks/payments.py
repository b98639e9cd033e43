"""What must hold of payments and refunds, and of orders by them."""

from __future__ import annotations

from oms.reconcile.checks import Check

PAYMENT_CHECKS = (
    Check(
        name="one_capture_for_an_order",
        promise="At most one payment of an order was captured.",
        sql="""
            SELECT order_id::text AS id, format('%%s captured payments', count(*)) AS detail
            FROM payments_payment
            WHERE status = 'captured'
            GROUP BY order_id HAVING count(*) > 1
        """,
    ),
    Check(
        name="refunds_within_captured",
        promise="What was refunded is from zero to what was captured, and that to the amount.",
        sql="""
            SELECT id::text AS id,
                   format('%%s of %%s, captured %%s, refunded %%s', status, amount,
                          captured_amount, refunded_amount) AS detail
            FROM payments_payment
            WHERE NOT (0 <= refunded_amount AND refunded_amount <= captured_amount
                       AND captured_amount <= amount)
               OR (status = 'captured') <> (captured_amount > 0)
        """,
    ),
    Check(
        name="refunded_is_sum_of_refunds",
        promise="What a payment counts as refunded is the sum of its refunds that did not fail.",
        sql="""
            SELECT payment.id::text AS id,
                   format('refunded %%s, its refunds add up to %%s', payment.refunded_amount,
                          coalesce(back.amount, 0)) AS detail
            FROM payments_payment AS payment
            LEFT JOIN (
                SELECT payment_id, sum(amount) AS amount
                FROM payments_refund WHERE status <> 'failed' GROUP BY payment_id
            ) AS back ON back.payment_id = payment.id
            WHERE payment.refunded_amount <> coalesce(back.amount, 0)
        """,
    ),
    Check(
        name="payments_are_for_their_orders",
        promise="Money is only taken for an order that exists, and exactly its total.",
        sql="""
            SELECT payment.id::text AS id,
                   format('%%s %%s for the order %%s of %%s %%s', payment.amount,
                          payment.currency, payment.order_id, orders_order.total,
                          orders_order.currency) AS detail
            FROM payments_payment AS payment
            LEFT JOIN orders_order ON orders_order.id = payment.order_id
            WHERE orders_order.id IS NULL
               OR (payment.status NOT IN ('failed', 'voided')
                   AND (payment.amount, payment.currency)
                       IS DISTINCT FROM (orders_order.total, orders_order.currency))
               OR (payment.status = 'captured' AND payment.captured_amount <> payment.amount)
        """,
    ),
    Check(
        name="payment_status_follows_payments",
        promise="An order's payment status follows from its payments and refunds.",
        # Of an authorised payment the order knows only that it is under way.
        sql="""
            SELECT id::text AS id,
                   format('%%s, but its payments make it %%s', payment_status, expected) AS detail
            FROM (
                SELECT orders_order.id, orders_order.payment_status,
                       CASE
                           WHEN orders_order.total = 0 THEN 'paid'
                           WHEN paid.captured > 0 AND coalesce(back.amount, 0) = 0 THEN 'paid'
                           WHEN paid.captured > 0 AND back.amount < orders_order.total
                               THEN 'partially_refunded'
                           WHEN paid.captured > 0 THEN 'refunded'
                           WHEN paid.newest IS NULL OR paid.newest = 'voided' THEN 'unpaid'
                           WHEN paid.newest = 'failed' THEN 'failed'
                           WHEN paid.newest = 'unknown' THEN 'unknown'
                           WHEN paid.newest = 'authorized'
                                AND orders_order.payment_status = 'unknown' THEN 'unknown'
                           ELSE 'processing' END AS expected
                FROM orders_order
                LEFT JOIN (
                    SELECT order_id, sum(captured_amount) AS captured,
                           (array_agg(status ORDER BY id DESC))[1] AS newest
                    FROM payments_payment GROUP BY order_id
                ) AS paid ON paid.order_id = orders_order.id
                LEFT JOIN (
                    SELECT order_id, sum(amount) AS amount
                    FROM payments_refund WHERE status = 'succeeded' GROUP BY order_id
                ) AS back ON back.order_id = orders_order.id
            ) AS state
            WHERE payment_status <> expected
              AND NOT EXISTS (SELECT FROM unheard WHERE unheard.order_id = state.id)
        """,
    ),
    Check(
        name="paid_orders_go_on",
        promise="An order whose money is there is not left pending, and keeps none if it ended.",
        # A refund that the provider refused leaves money with us: it is reported until it is gone.
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
              AND NOT EXISTS (SELECT FROM unheard WHERE unheard.order_id = orders_order.id)
        """,
    ),
    Check(
        name="no_payment_is_stuck",
        promise="What is not settled with the provider will be tried again.",
        sql="""
            SELECT id::text AS id,
                   format('payment %%s after %%s attempts, given up: %%s', status, attempts,
                          last_error) AS detail
            FROM payments_payment
            WHERE (status IN ('created', 'processing', 'unknown') OR wanted <> '')
              AND next_attempt_at IS NULL
            UNION ALL
            SELECT id::text,
                   format('refund %%s after %%s attempts, given up: %%s', status, attempts,
                          last_error)
            FROM payments_refund
            WHERE status IN ('requested', 'processing', 'unknown') AND next_attempt_at IS NULL
        """,
    ),
)
