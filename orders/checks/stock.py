"""Checks of the stock that is reserved for orders, waited for, shipped and returned."""

from __future__ import annotations

from collections.abc import Mapping

from oms.reconcile.checks import Check
from orders.states import HOLDS_STOCK


def _parameters() -> Mapping[str, list[str]]:
    return {"holding": [status.value for status in HOLDS_STOCK]}


# What waits for each order, by product.
_QUEUE = """
    queue AS (
        SELECT order_id, product_id, sum(quantity) AS waiting
        FROM inventory_waitingitem GROUP BY order_id, product_id
    )
"""
# The orders with events of their stock that the consumer "allocation" has not processed.
_UNPROCESSED = """
    unprocessed AS (
        SELECT (event.data->>'order_id')::uuid AS order_id
        FROM events_event AS event
        WHERE event.type IN ('product.stock_allocated', 'product.stock_lost')
          AND (event.transaction, event.position) > (
              coalesce((SELECT transaction FROM events_consumeroffset
                        WHERE consumer = 'allocation'), '0'::xid8),
              coalesce((SELECT position FROM events_consumeroffset
                        WHERE consumer = 'allocation'), 0))
        UNION
        SELECT (event.data->>'order_id')::uuid
        FROM events_parkedevent AS dead_letter
        JOIN events_event AS event ON event.id = dead_letter.event_id
        WHERE dead_letter.consumer = 'allocation'
    )
"""

STOCK_CHECKS = (
    Check(
        name="reserved_stock_equals_open_orders",
        promise="What open orders have yet to ship adds up to what is reserved and what waits.",
        sql="""
            SELECT product_id::text AS id,
                   format('reserved %%s, waiting %%s, unshipped in open orders %%s',
                          level.reserved, queue.waiting, open_orders.unshipped) AS detail
            FROM (
                SELECT product_id, sum(reserved) AS reserved
                FROM inventory_stocklevel GROUP BY product_id
            ) AS level
            FULL JOIN (
                SELECT item.product_id,
                       sum(item.quantity - item.quantity_cancelled - item.quantity_shipped)
                           AS unshipped
                FROM orders_orderitem AS item
                JOIN orders_order ON orders_order.id = item.order_id
                WHERE orders_order.status = ANY(%(holding)s)
                GROUP BY item.product_id
            ) AS open_orders USING (product_id)
            FULL JOIN (
                SELECT product_id, sum(quantity) AS waiting
                FROM inventory_waitingitem GROUP BY product_id
            ) AS queue USING (product_id)
            WHERE coalesce(level.reserved, 0) + coalesce(queue.waiting, 0)
                  <> coalesce(open_orders.unshipped, 0)
        """,
        parameters=_parameters,
    ),
    Check(
        name="order_stock_movements",
        promise="Each order's movements and its place in the queue are those of its items.",
        ctes=_QUEUE,
        sql="""
            SELECT order_id::text AS id,
                   format('product %%s: reserved %%s, waiting %%s, should be %%s together; '
                          'shipped %%s of %%s; returned %%s of %%s', product_id,
                          movements.reserved, queue.waiting, expected.unshipped,
                          movements.shipped, expected.shipped, movements.returned,
                          expected.returned) AS detail
            FROM (
                SELECT order_id, product_id, sum(reserved_delta) AS reserved,
                       -coalesce(sum(on_hand_delta) FILTER (WHERE kind = 'ship'), 0) AS shipped,
                       coalesce(sum(on_hand_delta) FILTER (WHERE kind = 'return'), 0) AS returned
                FROM inventory_stockmovement
                WHERE order_id IS NOT NULL
                GROUP BY order_id, product_id
            ) AS movements
            FULL JOIN (
                SELECT item.order_id, item.product_id,
                       CASE WHEN orders_order.status = ANY(%(holding)s)
                            THEN item.quantity - item.quantity_cancelled - item.quantity_shipped
                            ELSE 0 END AS unshipped,
                       item.quantity_shipped AS shipped,
                       item.quantity_returned - coalesce(unusable.quantity, 0) AS returned
                FROM orders_orderitem AS item
                JOIN orders_order ON orders_order.id = item.order_id
                LEFT JOIN (
                    SELECT returned.order_item_id, sum(received.quantity) AS quantity
                    FROM orders_returnreceiptitem AS received
                    JOIN orders_returnitem AS returned ON returned.id = received.return_item_id
                    WHERE received.outcome = 'unusable'
                    GROUP BY returned.order_item_id
                ) AS unusable ON unusable.order_item_id = item.id
            ) AS expected USING (order_id, product_id)
            FULL JOIN queue USING (order_id, product_id)
            WHERE coalesce(movements.reserved, 0) + coalesce(queue.waiting, 0)
                  <> coalesce(expected.unshipped, 0)
               OR coalesce(movements.shipped, 0) <> coalesce(expected.shipped, 0)
               OR coalesce(movements.returned, 0) <> coalesce(expected.returned, 0)
        """,
        parameters=_parameters,
    ),
    Check(
        name="only_open_orders_wait",
        promise="What waits is for a line of an order that is open.",
        sql="""
            SELECT waiting.id::text AS id,
                   format('%%s of product %%s for the order %%s, which is %%s', waiting.quantity,
                          waiting.product_id, waiting.order_id,
                          coalesce(orders_order.status, 'unknown')) AS detail
            FROM inventory_waitingitem AS waiting
            LEFT JOIN orders_order ON orders_order.id = waiting.order_id
            WHERE orders_order.status IS NULL OR orders_order.status <> ALL(%(holding)s)
               OR NOT EXISTS (
                   SELECT FROM orders_orderitem AS item
                   WHERE item.order_id = waiting.order_id
                     AND item.product_id = waiting.product_id)
        """,
        parameters=_parameters,
    ),
    Check(
        name="quantity_waiting_by_queue",
        promise="Each line shows as waiting what waits in the queue.",
        ctes=f"{_QUEUE}, {_UNPROCESSED}",
        sql="""
            SELECT item.order_id::text AS id,
                   format('product %%s: %%s shown as waiting, %%s in the queue', item.product_id,
                          item.quantity_waiting, coalesce(queue.waiting, 0)) AS detail
            FROM orders_orderitem AS item
            LEFT JOIN queue USING (order_id, product_id)
            WHERE item.quantity_waiting <> coalesce(queue.waiting, 0)
              AND NOT EXISTS (
                  SELECT FROM unprocessed WHERE unprocessed.order_id = item.order_id)
        """,
    ),
)
