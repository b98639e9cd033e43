"""What must hold of the stock and its ledger."""

from __future__ import annotations

from oms.reconcile.checks import Check
from orders.states import HOLDS_STOCK

_HOLDING = {"holding": [status.value for status in HOLDS_STOCK]}

STOCK_CHECKS = (
    Check(
        name="levels_equal_movements",
        promise="On hand and reserved equal the sums of their movements.",
        sql="""
            SELECT product_id || ' at ' || location_id AS id,
                   format('on hand %%s, by its movements %%s; reserved %%s, by its movements %%s',
                          level.on_hand, moved.on_hand, level.reserved, moved.reserved) AS detail
            FROM inventory_stocklevel AS level
            FULL JOIN (
                SELECT product_id, location_id, sum(on_hand_delta) AS on_hand,
                       sum(reserved_delta) AS reserved
                FROM inventory_stockmovement GROUP BY product_id, location_id
            ) AS moved USING (product_id, location_id)
            WHERE coalesce(level.on_hand, 0) <> coalesce(moved.on_hand, 0)
               OR coalesce(level.reserved, 0) <> coalesce(moved.reserved, 0)
        """,
    ),
    Check(
        name="balances_form_a_chain",
        promise="Each movement goes on from the balance that another one left.",
        # Without an order, for two movements of one millisecond have none that could be trusted:
        # the balances before all movements, with the present one, must be the same collection as
        # those after all movements, with the first one, which is nothing.
        sql="""
            SELECT product_id || ' at ' || location_id AS id,
                   format('the balance %%s on hand, %%s reserved is left %%s times more often '
                          'than it is gone on from', on_hand, reserved, sum(times)) AS detail
            FROM (
                SELECT product_id, location_id, on_hand_after AS on_hand,
                       reserved_after AS reserved, 1 AS times
                FROM inventory_stockmovement
                UNION ALL
                SELECT product_id, location_id, on_hand_after - on_hand_delta,
                       reserved_after - reserved_delta, -1
                FROM inventory_stockmovement
                UNION ALL
                SELECT product_id, location_id, 0, 0, 1 FROM inventory_stocklevel
                UNION ALL
                SELECT product_id, location_id, on_hand, reserved, -1 FROM inventory_stocklevel
            ) AS balance
            GROUP BY product_id, location_id, on_hand, reserved
            HAVING sum(times) <> 0
        """,
    ),
    Check(
        name="stock_within_bounds",
        promise="Reserved is from zero to on hand, but for what may be backordered.",
        sql="""
            SELECT product_id || ' at ' || location_id AS id,
                   format('on hand %%s, reserved %%s, backorderable: %%s (product: %%s)',
                          level.on_hand, level.reserved, level.backorderable,
                          product.backorderable) AS detail
            FROM inventory_stocklevel AS level
            JOIN inventory_product AS product ON product.id = level.product_id
            WHERE level.on_hand < 0 OR level.reserved < 0
               OR (level.reserved > level.on_hand AND NOT level.backorderable)
               OR level.backorderable <> product.backorderable
        """,
    ),
    Check(
        name="reservations_add_up",
        promise="What open orders have not been sent yet adds up to what is reserved.",
        sql="""
            SELECT product_id::text AS id,
                   format('reserved %%s, open orders want %%s', level.reserved, open.wanted)
                       AS detail
            FROM (
                SELECT product_id, sum(reserved) AS reserved
                FROM inventory_stocklevel GROUP BY product_id
            ) AS level
            FULL JOIN (
                SELECT item.product_id, sum(item.quantity - item.quantity_shipped) AS wanted
                FROM orders_orderitem AS item
                JOIN orders_order ON orders_order.id = item.order_id
                WHERE orders_order.status = ANY(%(holding)s)
                GROUP BY item.product_id
            ) AS open USING (product_id)
            WHERE coalesce(level.reserved, 0) <> coalesce(open.wanted, 0)
        """,
        parameters=_HOLDING,
    ),
    Check(
        name="orders_hold_their_stock",
        promise="Each order's movements reserve, ship and return what its items say.",
        sql="""
            SELECT order_id::text AS id,
                   format('product %%s: reserved %%s, should be %%s; shipped %%s of %%s; '
                          'returned %%s of %%s', product_id, moved.reserved, wanted.reserved,
                          moved.shipped, wanted.shipped, moved.returned, wanted.returned)
                       AS detail
            FROM (
                SELECT order_id, product_id, sum(reserved_delta) AS reserved,
                       -coalesce(sum(on_hand_delta) FILTER (WHERE kind = 'ship'), 0) AS shipped,
                       coalesce(sum(on_hand_delta) FILTER (WHERE kind = 'return'), 0) AS returned
                FROM inventory_stockmovement
                WHERE order_id IS NOT NULL
                GROUP BY order_id, product_id
            ) AS moved
            FULL JOIN (
                SELECT item.order_id, item.product_id,
                       CASE WHEN orders_order.status = ANY(%(holding)s)
                            THEN item.quantity - item.quantity_shipped ELSE 0 END AS reserved,
                       item.quantity_shipped AS shipped, item.quantity_returned AS returned
                FROM orders_orderitem AS item
                JOIN orders_order ON orders_order.id = item.order_id
            ) AS wanted USING (order_id, product_id)
            WHERE coalesce(moved.reserved, 0) <> coalesce(wanted.reserved, 0)
               OR coalesce(moved.shipped, 0) <> coalesce(wanted.shipped, 0)
               OR coalesce(moved.returned, 0) <> coalesce(wanted.returned, 0)
        """,
        parameters=_HOLDING,
    ),
)
