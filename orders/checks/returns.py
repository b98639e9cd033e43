"""Checks of cancelled, returned and refunded quantities."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from oms.reconcile.checks import Check
from orders.states import OPEN_RETURNS


def _open() -> Mapping[str, Any]:
    return {"open": [status.value for status in OPEN_RETURNS]}


RETURN_CHECKS = (
    Check(
        name="cancelled_quantities",
        promise="A line's cancelled quantity is that of its cancellations, each for its price.",
        sql="""
            SELECT item.id::text AS id,
                   format('%%s cancelled, %%s in cancellations', item.quantity_cancelled,
                          coalesce(part.quantity, 0)) AS detail
            FROM orders_orderitem AS item
            LEFT JOIN (
                SELECT order_item_id, sum(quantity) AS quantity
                FROM orders_cancellationitem GROUP BY order_item_id
            ) AS part ON part.order_item_id = item.id
            WHERE item.quantity_cancelled <> coalesce(part.quantity, 0)
            UNION ALL
            SELECT cancellation.id::text,
                   format('%%s, its items cost %%s', cancellation.amount, sum(part.price))
            FROM orders_cancellation AS cancellation
            LEFT JOIN LATERAL (
                SELECT part.quantity * item.unit_price AS price
                FROM orders_cancellationitem AS part
                JOIN orders_orderitem AS item ON item.id = part.order_item_id
                WHERE part.cancellation_id = cancellation.id
            ) AS part ON true
            GROUP BY cancellation.id
            HAVING cancellation.amount IS DISTINCT FROM sum(part.price)
        """,
    ),
    Check(
        name="returned_quantities",
        promise="Open returns expect no more than was shipped and has not come back.",
        sql="""
            SELECT item.id::text AS id,
                   format('%%s shipped, %%s returned, %%s more expected', item.quantity_shipped,
                          item.quantity_returned, returned.expected) AS detail
            FROM orders_orderitem AS item
            JOIN (
                SELECT part.order_item_id, sum(part.quantity_received) AS received,
                       coalesce(sum(part.quantity - part.quantity_received)
                           FILTER (WHERE open_return.status = ANY(%(open)s)), 0) AS expected
                FROM orders_returnitem AS part
                JOIN orders_orderreturn AS open_return ON open_return.id = part.order_return_id
                GROUP BY part.order_item_id
            ) AS returned ON returned.order_item_id = item.id
            WHERE item.quantity_returned + returned.expected > item.quantity_shipped
               OR item.quantity_returned < returned.received
        """,
        parameters=_open,
    ),
    Check(
        name="return_receipts",
        promise="What a return has received is that of its receipts, and its status follows.",
        sql="""
            SELECT part.order_return_id::text AS id,
                   format('%%s: item %%s: %%s of %%s received, %%s in receipts', parent.status,
                          part.order_item_id, part.quantity_received, part.quantity,
                          coalesce(received.quantity, 0)) AS detail
            FROM orders_returnitem AS part
            JOIN orders_orderreturn AS parent ON parent.id = part.order_return_id
            LEFT JOIN (
                SELECT return_item_id, sum(quantity) AS quantity
                FROM orders_returnreceiptitem GROUP BY return_item_id
            ) AS received ON received.return_item_id = part.id
            WHERE part.quantity_received <> coalesce(received.quantity, 0)
               OR (part.quantity_received > 0
                   AND parent.status NOT IN ('partially_received', 'received'))
        """,
    ),
    Check(
        name="refunded_items",
        promise="No more units of a line are refunded than were shipped.",
        # Refunds that failed can be requested again.
        sql="""
            SELECT item.id::text AS id,
                   format('%%s shipped, %%s refunded', item.quantity_shipped, sum(part.quantity))
                       AS detail
            FROM orders_refunditem AS part
            JOIN orders_orderitem AS item ON item.id = part.order_item_id
            JOIN payments_refund AS refund ON refund.id = part.refund_id
            WHERE refund.status <> 'failed'
            GROUP BY item.id
            HAVING sum(part.quantity) > item.quantity_shipped
        """,
    ),
)
