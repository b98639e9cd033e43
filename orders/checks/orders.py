"""What must hold of orders: their totals, their statuses, their parcels."""

from __future__ import annotations

from oms.reconcile.checks import Check

ORDER_CHECKS = (
    Check(
        name="totals_are_sums",
        promise="An order's total is the sum of its lines, and a line's is price times quantity.",
        sql="""
            SELECT orders_order.id::text AS id,
                   format('total %%s, its %%s lines add up to %%s (as stored: %%s)',
                          orders_order.total, lines.number, lines.computed, lines.stored) AS detail
            FROM orders_order
            LEFT JOIN (
                SELECT order_id, count(*) AS number, sum(line_total) AS stored,
                       sum(unit_price * quantity) AS computed,
                       bool_and(line_total = unit_price * quantity) AS each_is_right
                FROM orders_orderitem GROUP BY order_id
            ) AS lines ON lines.order_id = orders_order.id
            WHERE lines.stored IS DISTINCT FROM orders_order.total OR NOT lines.each_is_right
        """,
    ),
    Check(
        name="fulfilment_follows_items",
        promise="An order's fulfilment follows from what was sent of its items.",
        sql="""
            SELECT orders_order.id::text AS id,
                   format('%%s, %%s, but %%s of %%s pieces were sent', status, fulfilment_status,
                          pieces.shipped, pieces.wanted) AS detail
            FROM orders_order
            JOIN (
                SELECT order_id, sum(quantity_shipped) AS shipped, sum(quantity) AS wanted
                FROM orders_orderitem GROUP BY order_id
            ) AS pieces ON pieces.order_id = orders_order.id
            WHERE fulfilment_status <> CASE
                      WHEN pieces.shipped = 0 THEN 'unfulfilled'
                      WHEN pieces.shipped < pieces.wanted THEN 'partially_shipped'
                      WHEN status = 'delivered' THEN 'delivered'
                      ELSE 'shipped' END
               OR (pieces.shipped = pieces.wanted) <> (status IN ('shipped', 'delivered'))
               OR (pieces.shipped > 0 AND status IN ('pending', 'cancelled', 'expired'))
        """,
    ),
    Check(
        name="parcels_hold_what_was_sent",
        promise="The parcels of an order hold what its items say was sent, and arrived with it.",
        sql="""
            SELECT item.order_id::text AS id,
                   format('item %%s: %%s sent, %%s in parcels, %%s of them delivered; the order is '
                          '%%s', item.id, item.quantity_shipped, coalesce(sent.pieces, 0),
                          coalesce(sent.delivered, 0), orders_order.status) AS detail
            FROM orders_orderitem AS item
            JOIN orders_order ON orders_order.id = item.order_id
            LEFT JOIN (
                SELECT part.order_item_id, sum(part.quantity) AS pieces,
                       sum(part.quantity) FILTER (WHERE shipment.status = 'delivered')
                           AS delivered
                FROM orders_shipmentitem AS part
                JOIN orders_shipment AS shipment ON shipment.id = part.shipment_id
                WHERE shipment.status IN ('shipped', 'delivered')
                GROUP BY part.order_item_id
            ) AS sent ON sent.order_item_id = item.id
            WHERE item.quantity_shipped <> coalesce(sent.pieces, 0)
               OR (orders_order.status = 'delivered'
                   AND coalesce(sent.delivered, 0) <> item.quantity)
        """,
    ),
    Check(
        name="order_times_follow_status",
        promise="An order has the times that its status calls for, and no others.",
        sql="""
            SELECT id::text AS id,
                   format('%%s: expires %%s, confirmed %%s, cancelled %%s', status, expires_at,
                          confirmed_at, cancelled_at) AS detail
            FROM orders_order
            WHERE (status = 'pending') <> (expires_at IS NOT NULL)
               OR (status = 'cancelled') <> (cancelled_at IS NOT NULL)
               OR (confirmed_at IS NULL
                   AND status IN ('confirmed', 'processing', 'shipped', 'delivered'))
               OR (deleted_at IS NOT NULL AND status NOT IN ('cancelled', 'expired'))
        """,
    ),
)
