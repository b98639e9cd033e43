"""The definitions of the figures, as common table expressions of every statement of reports.

docs/reports.md has them in words. `%(currency)s` is a parameter of all of them; times are half-open
ranges, each of one index.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from oms.core.clock import Period
from oms.core.ids import first_id_at

# An order sells its lines when it is confirmed; what of them is cancelled later leaves the gross
# sales when it is. So the value at the confirmation is the present total and all parts cancelled
# since, and no later change of an order changes it. What returns to stock leaves the units sold
# when it does.
#
# `sales` has the changes of value, `lines` those of units and value by product.
_SALES = """
confirmed AS (
    SELECT id, confirmed_at AS at, total FROM orders_order
    WHERE confirmed_at >= {since} AND confirmed_at < %(end)s AND currency = %(currency)s
),
cancelled_orders AS (
    SELECT id, cancelled_at AS at, total FROM orders_order
    WHERE cancelled_at >= {since} AND cancelled_at < %(end)s AND currency = %(currency)s
      AND confirmed_at IS NOT NULL
),
cancelled_parts AS (
    SELECT part.id, part.created_at AS at, -1 AS sign, amount
    FROM orders_cancellation AS part JOIN orders_order ON orders_order.id = order_id
    WHERE created_at >= {since} AND created_at < %(end)s AND part.currency = %(currency)s
      AND created_at >= confirmed_at
    UNION ALL
    SELECT part.id, confirmed.at, 1, amount
    FROM confirmed JOIN orders_cancellation AS part
      ON order_id = confirmed.id AND created_at >= confirmed.at
),
sales AS (
    SELECT at, 1 AS orders, total AS value, 0 AS cancelled FROM confirmed
    UNION ALL
    SELECT at, 0, -total, total FROM cancelled_orders
    UNION ALL
    SELECT at, 0, sign * amount, CASE WHEN sign < 0 THEN amount ELSE 0 END FROM cancelled_parts
),
lines AS (
    SELECT at, product_id, quantity - quantity_cancelled AS units, line_total AS value
    FROM confirmed JOIN orders_orderitem ON order_id = confirmed.id
    UNION ALL
    SELECT at, product_id, quantity_cancelled - quantity, -line_total
    FROM cancelled_orders JOIN orders_orderitem ON order_id = cancelled_orders.id
    UNION ALL
    SELECT at, product_id, sign * part.quantity, sign * part.quantity * unit_price
    FROM cancelled_parts
    JOIN orders_cancellationitem AS part ON cancellation_id = cancelled_parts.id
    JOIN orders_orderitem AS item ON item.id = order_item_id
    UNION ALL
    SELECT movement.created_at, product_id, -on_hand_delta, 0
    FROM inventory_stockmovement AS movement
    JOIN orders_order ON orders_order.id = order_id AND currency = %(currency)s
    WHERE kind = 'return' AND movement.id >= %(start_id)s AND movement.id < %(end_id)s
      AND created_at >= {since} AND created_at < %(end)s
)
"""

# Of an order that counts: `captured` is what was captured, less what was refunded before it was
# confirmed; `refunded` is what was refunded since; `sold` is the value of what is not cancelled.
# What is captured beyond `sold` is owed to the customer, and refunds pay that first. Only the rest
# of them is for what stays sold:
#
#     of_sale = max(0, refunded - max(0, captured - sold))
#
# So the net, `sold - of_sale`, is the money kept and still owed, but never more than what is sold.
# Money beyond the value at the confirmation, and that of orders that do not count, was for no sale.
#
# `refunds` has the changes of both. Captures alone are no change: they count with the next refund
# or cancellation.
REFUNDS = """
touched AS (
    SELECT order_id FROM payments_refund
    WHERE succeeded_at >= %(start)s AND succeeded_at < %(end)s AND status = 'succeeded'
      AND currency = %(currency)s
    UNION
    SELECT id FROM orders_order
    WHERE cancelled_at >= %(start)s AND cancelled_at < %(end)s AND currency = %(currency)s
    UNION
    SELECT order_id FROM orders_cancellation
    WHERE created_at >= %(start)s AND created_at < %(end)s AND currency = %(currency)s
),
times AS (
    SELECT order_id, at, sum(refunded) AS refunded, sum(captured) AS captured,
           sum(cancelled) AS cancelled
    FROM (
        SELECT order_id, succeeded_at AS at, amount AS refunded, 0 AS captured, 0 AS cancelled
        FROM payments_refund JOIN touched USING (order_id)
        WHERE status = 'succeeded' AND currency = %(currency)s
        UNION ALL
        SELECT order_id, coalesce(captured_at, created_at), 0, captured_amount, 0
        FROM payments_payment JOIN touched USING (order_id)
        WHERE status = 'captured' AND currency = %(currency)s
        UNION ALL
        SELECT order_id, created_at, 0, 0, amount
        FROM orders_cancellation JOIN touched USING (order_id)
        UNION ALL
        SELECT order_id, cancelled_at, 0, 0, total
        FROM orders_order JOIN touched ON order_id = id WHERE cancelled_at IS NOT NULL
    ) AS facts
    GROUP BY order_id, at
),
known AS (
    SELECT times.*, coalesce(confirmed_at, 'infinity') AS counts_from,
           CASE WHEN orders_order.id IS NULL OR cancelled_at IS NOT NULL THEN 0 ELSE total END
               AS still_sold
    FROM times
    LEFT JOIN orders_order ON orders_order.id = order_id AND currency = %(currency)s
),
states AS (
    SELECT order_id, at, refunded > 0 OR cancelled > 0 AS changes,
           coalesce(sum(refunded) FILTER (WHERE at >= counts_from) OVER so_far, 0) AS refunded,
           coalesce(sum(refunded) FILTER (WHERE at < counts_from) OVER so_far, 0) AS uncounted,
           sum(captured) OVER so_far AS captured,
           still_sold + sum(cancelled) OVER of_order - sum(cancelled) OVER so_far AS sold,
           still_sold + coalesce(
               sum(cancelled) FILTER (WHERE at >= counts_from) OVER of_order, 0) AS counted
    FROM known
    WINDOW of_order AS (PARTITION BY order_id), so_far AS (PARTITION BY order_id ORDER BY at)
),
refunds AS (
    SELECT at, of_sale - lag(of_sale, 1, 0::numeric) OVER before AS of_sale,
           of_no_sale - lag(of_no_sale, 1, 0::numeric) OVER before AS of_no_sale
    FROM (
        SELECT order_id, at,
               greatest(refunded - greatest(captured - uncounted - sold, 0), 0) AS of_sale,
               uncounted + least(refunded, greatest(captured - uncounted - counted, 0))
                   AS of_no_sale
        FROM states WHERE changes
    ) AS amounts
    WINDOW before AS (PARTITION BY order_id ORDER BY at)
    UNION ALL
    SELECT succeeded_at, 0, amount FROM payments_refund
    WHERE succeeded_at >= %(start)s AND succeeded_at < %(end)s AND status = 'succeeded'
      AND currency = %(currency)s AND order_id IS NULL
)
"""


def sales_since(since: str) -> str:
    """The expressions `sales` and `lines` of the time from the SQL expression `since` to `end`."""
    return _SALES.format(since=since)


def period_parameters(period: Period, *, currency: str) -> dict[str, Any]:
    """The parameters of the definitions."""
    return {
        "start": period.start,
        "end": period.end,
        "currency": currency,
        # Rows are written at the end of their transactions, whose time they have.
        "start_id": first_id_at(period.start),
        "end_id": first_id_at(period.end + timedelta(minutes=5)),
    }
