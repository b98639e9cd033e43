"""Checks of orders: totals, statuses, shipments, expiry, and the answers that clients got."""

from __future__ import annotations

from oms.reconcile.checks import Check
from orders.operations.cancelling import OVERDUE_AFTER

ORDER_CHECKS = (
    Check(
        name="order_totals",
        promise="An order's total is that of its lines, a line's is price times quantity sold.",
        sql="""
            SELECT orders_order.id::text AS id,
                   format('total %%s, its %%s lines add up to %%s (as stored: %%s)',
                          orders_order.total, lines.number, lines.computed, lines.stored) AS detail
            FROM orders_order
            LEFT JOIN (
                SELECT order_id, count(*) AS number, sum(line_total) AS stored,
                       sum(unit_price * (quantity - quantity_cancelled)) AS computed,
                       bool_and(line_total = unit_price * (quantity - quantity_cancelled))
                           AS each_is_right
                FROM orders_orderitem GROUP BY order_id
            ) AS lines ON lines.order_id = orders_order.id
            WHERE lines.stored IS DISTINCT FROM orders_order.total OR NOT lines.each_is_right
        """,
    ),
    Check(
        name="fulfilment_status_by_items",
        promise="An order's fulfilment status follows from the shipped quantities of its items.",
        sql="""
            SELECT orders_order.id::text AS id,
                   format('%%s, %%s, but %%s units were shipped and %%s are left', status,
                          fulfilment_status, quantities.shipped, quantities.remaining) AS detail
            FROM orders_order
            JOIN (
                SELECT order_id, sum(quantity_shipped) AS shipped,
                       sum(quantity - quantity_cancelled - quantity_shipped) AS remaining
                FROM orders_orderitem GROUP BY order_id
            ) AS quantities ON quantities.order_id = orders_order.id
            WHERE fulfilment_status <> CASE
                      WHEN quantities.shipped = 0 THEN 'unfulfilled'
                      WHEN quantities.remaining > 0 THEN 'partially_shipped'
                      WHEN status = 'delivered' THEN 'delivered'
                      ELSE 'shipped' END
               OR (quantities.remaining = 0)
                   <> (status IN ('shipped', 'delivered')
                       OR (status = 'cancelled' AND quantities.remaining = 0))
               OR (quantities.shipped > 0 AND status IN ('pending', 'cancelled', 'expired'))
        """,
    ),
    Check(
        name="shipment_quantities",
        promise="An order's shipments hold the shipped quantities, and arrived if it is delivered.",
        sql="""
            SELECT item.order_id::text AS id,
                   format('item %%s: %%s shipped, %%s in shipments, %%s of them delivered; the '
                          'order is %%s', item.id, item.quantity_shipped,
                          coalesce(shipments.quantity, 0), coalesce(shipments.delivered, 0),
                          orders_order.status) AS detail
            FROM orders_orderitem AS item
            JOIN orders_order ON orders_order.id = item.order_id
            LEFT JOIN (
                SELECT part.order_item_id, sum(part.quantity) AS quantity,
                       sum(part.quantity) FILTER (WHERE shipment.status = 'delivered')
                           AS delivered
                FROM orders_shipmentitem AS part
                JOIN orders_shipment AS shipment ON shipment.id = part.shipment_id
                WHERE shipment.status IN ('shipped', 'delivered')
                GROUP BY part.order_item_id
            ) AS shipments ON shipments.order_item_id = item.id
            WHERE item.quantity_shipped <> coalesce(shipments.quantity, 0)
               OR (orders_order.status = 'delivered'
                   AND coalesce(shipments.delivered, 0) <> item.quantity_shipped)
               OR (orders_order.status IN ('shipped', 'delivered')
                   AND item.quantity_shipped + item.quantity_cancelled <> item.quantity)
        """,
    ),
    Check(
        name="order_timestamps",
        promise="An order has the timestamps that its status requires, and no others.",
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
    Check(
        name="no_overdue_orders",
        promise="No order is left pending long after its expiry time.",
        sql="""
            SELECT id::text AS id,
                   format('pending since %%s, due to expire at %%s; see order_expiry_failed in the'
                          ' log', placed_at, expires_at) AS detail
            FROM orders_order
            WHERE status = 'pending' AND expires_at < now() - %(overdue_after)s
        """,
        parameters=lambda: {"overdue_after": OVERDUE_AFTER},
    ),
    Check(
        name="acknowledged_orders_exist",
        promise="Every order in a stored response exists.",
        # The stored responses of calls with an idempotency key: one order (201), or many (207).
        sql="""
            SELECT placed.id AS id, format('in the response of %%s', placed.created_at) AS detail
            FROM (
                SELECT response.created_at, result.document->>'id' AS id
                FROM (
                    SELECT created_at, CASE WHEN get_byte(body, 0) = 123
                        THEN convert_from(body, 'UTF8')::jsonb END AS document
                    FROM http_idempotencyrecord
                    WHERE status IN (201, 207) AND length(body) > 0
                ) AS response
                CROSS JOIN LATERAL (
                    SELECT response.document WHERE response.document ? 'placed_at'
                    UNION ALL
                    SELECT jsonb_path_query(response.document, '$.results[*].order')
                ) AS result (document)
            ) AS placed
            WHERE NOT EXISTS (SELECT FROM orders_order WHERE orders_order.id = placed.id::uuid)
        """,
    ),
)
