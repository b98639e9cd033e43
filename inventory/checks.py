"""Checks of stock levels and stock documents against the ledger of stock movements."""

from __future__ import annotations

from inventory.operations.receiving import OVERDUE_AFTER
from oms.reconcile.checks import Check

CHECKS = (
    Check(
        name="stock_levels_equal_movements",
        promise="On hand and reserved equal the sums of their movements.",
        sql="""
            SELECT product_id || ' at ' || location_id AS id,
                   format('on hand %%s, by its movements %%s; reserved %%s, by its movements %%s',
                          level.on_hand, movements.on_hand, level.reserved, movements.reserved)
                       AS detail
            FROM inventory_stocklevel AS level
            FULL JOIN (
                SELECT product_id, location_id, sum(on_hand_delta) AS on_hand,
                       sum(reserved_delta) AS reserved
                FROM inventory_stockmovement GROUP BY product_id, location_id
            ) AS movements USING (product_id, location_id)
            WHERE coalesce(level.on_hand, 0) <> coalesce(movements.on_hand, 0)
               OR coalesce(level.reserved, 0) <> coalesce(movements.reserved, 0)
        """,
    ),
    Check(
        name="stock_movement_balances",
        promise="Each movement continues from the balance that another one left.",
        # Not sorted, because two movements of one millisecond have no reliable order:
        # the balances before all movements, with the present one, must be the same multiset as
        # those after all movements, with the first one, which is nothing.
        sql="""
            SELECT product_id || ' at ' || location_id AS id,
                   format('the balance %%s on hand, %%s reserved is left %%s times more often '
                          'than it is continued from', on_hand, reserved, sum(times)) AS detail
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
        promise="Reserved is from zero to on hand.",
        sql="""
            SELECT product_id || ' at ' || location_id AS id,
                   format('on hand %%s, reserved %%s', on_hand, reserved) AS detail
            FROM inventory_stocklevel
            WHERE on_hand < 0 OR reserved < 0 OR reserved > on_hand
        """,
    ),
    Check(
        name="nobody_waits_for_available_stock",
        promise="While anybody waits for a product, nothing of it is available at any location.",
        sql="""
            SELECT product_id::text AS id,
                   format('%%s available, %%s waiting', level.available, queue.quantity) AS detail
            FROM (
                SELECT product_id, sum(quantity) AS quantity
                FROM inventory_waitingitem GROUP BY product_id
            ) AS queue
            JOIN (
                SELECT product_id, sum(on_hand - reserved) AS available
                FROM inventory_stocklevel GROUP BY product_id
            ) AS level USING (product_id)
            WHERE level.available > 0
        """,
    ),
    Check(
        name="stock_documents_equal_movements",
        promise="The movements of receipts, transfers and counts are those of their booked items.",
        sql="""
            SELECT reference || ', product ' || product_id || ' at ' || location_id AS id,
                   format('booked %%s, by its movements %%s', booked.quantity, moved.quantity)
                       AS detail
            FROM (
                SELECT document.kind || ':' || document.id AS reference, item.product_id,
                       place.location_id, item.on_hand_delta * place.sign AS quantity
                FROM inventory_stockdocument AS document
                JOIN inventory_stockdocumentitem AS item ON item.document_id = document.id
                CROSS JOIN LATERAL (
                    VALUES (document.location_id, 1), (document.from_location_id, -1)
                ) AS place (location_id, sign)
                WHERE item.on_hand_delta <> 0 AND place.location_id IS NOT NULL
            ) AS booked
            FULL JOIN (
                SELECT reference, product_id, location_id, sum(on_hand_delta) AS quantity
                FROM inventory_stockmovement
                WHERE on_hand_delta <> 0 AND reference ~ '^(receipt|transfer|count):'
                GROUP BY reference, product_id, location_id
            ) AS moved USING (reference, product_id, location_id)
            WHERE booked.quantity IS DISTINCT FROM moved.quantity
        """,
    ),
    Check(
        name="stock_documents_count_their_items",
        promise="A receipt, transfer or count has as many items, and as many booked, as it says.",
        sql="""
            SELECT document.kind || ' ' || document.reference AS id,
                   format('items %%s, found %%s; booked %%s, found %%s', document.items_total,
                          found.total, document.items_booked, found.booked) AS detail
            FROM inventory_stockdocument AS document
            LEFT JOIN LATERAL (
                SELECT count(*) AS total, count(on_hand_delta) AS booked
                FROM inventory_stockdocumentitem WHERE document_id = document.id
            ) AS found ON true
            WHERE document.items_total <> found.total OR document.items_booked <> found.booked
        """,
    ),
    Check(
        name="no_overdue_receipts",
        promise="No receipt is left unfinished long after it was made.",
        sql="""
            SELECT kind || ' ' || reference AS id,
                   format('made %%s, %%s of %%s items booked; see receipt_not_booked in the log',
                          created_at, items_booked, items_total) AS detail
            FROM inventory_stockdocument
            WHERE completed_at IS NULL AND created_at < now() - %(overdue_after)s
        """,
        parameters=lambda: {"overdue_after": OVERDUE_AFTER},
    ),
)
