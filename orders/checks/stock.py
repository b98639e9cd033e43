"""Checks of the stock that is reserved for orders, shipped and returned."""

from __future__ import annotations

from collections.abc import Mapping

from oms.reconcile.checks import Check
from orders.states import HOLDS_STOCK


def _parameters() -> Mapping[str, list[str]]:
    return {"holding": [status.value for status in HOLDS_STOCK]}


STOCK_CHECKS = (
    Check(
        name="reserved_stock_equals_open_orders",
        promise="The unshipped quantities of open orders add up to the reserved stock.",
        sql="""
            SELECT product_id::text AS id,
                   format('reserved %%s, unshipped in open orders %%s', level.reserved,
                          open_orders.unshipped) AS detail
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
            WHERE coalesce(level.reserved, 0) <> coalesce(open_orders.unshipped, 0)
        """,
        parameters=_parameters,
    ),
    Check(
        name="order_stock_movements",
        promise="Each order's movements reserve, ship and return the quantities of its items.",
        sql="""
            SELECT order_id::text AS id,
                   format('product %%s: reserved %%s, should be %%s; shipped %%s of %%s; '
                          'returned %%s of %%s', product_id, movements.reserved,
                          expected.reserved, movements.shipped, expected.shipped,
                          movements.returned, expected.returned) AS detail
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
                            ELSE 0 END AS reserved,
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
            WHERE coalesce(movements.reserved, 0) <> coalesce(expected.reserved, 0)
               OR coalesce(movements.shipped, 0) <> coalesce(expected.shipped, 0)
               OR coalesce(movements.returned, 0) <> coalesce(expected.returned, 0)
        """,
        parameters=_parameters,
    ),
)
