"""Stock of a large shop: initial stock of copied products, and the movements of copied orders."""

from __future__ import annotations

from benchmarks.raw_sql import rows, run

# All reserved stock is received before the first order, and twenty units more.
_STOCK = """
CREATE TEMP TABLE stock ON COMMIT DROP AS
    SELECT pg_temp.copied(product.id, sets.products) AS product_id, product.id AS original_id,
           location.id AS location_id, location.is_default,
           20 + coalesce(sum(moved.reserved_delta), 0) AS received
    FROM (SELECT DISTINCT products FROM copy) AS sets
    CROSS JOIN inventory_product AS product
    JOIN inventory_stocklevel AS level ON level.product_id = product.id
    JOIN inventory_location AS location ON location.id = level.location_id
    LEFT JOIN (
        SELECT movement.product_id, movement.location_id, products, reserved_delta
        FROM copy JOIN inventory_stockmovement AS movement
            ON movement.order_id = copy.old_id AND movement.kind = 'reserve'
    ) AS moved ON moved.product_id = product.id AND moved.location_id = location.id
        AND moved.products = sets.products
    GROUP BY 1, 2, 3, 4
"""
_RECEIVE = """
INSERT INTO inventory_stockmovement SELECT row.* FROM stock AS copy
CROSS JOIN LATERAL (
    SELECT * FROM inventory_stockmovement
    WHERE product_id = copy.original_id AND location_id = copy.location_id AND kind = 'receive'
    ORDER BY id LIMIT 1
) AS original
CROSS JOIN LATERAL (
    SELECT original.created_at - make_interval(days => {days}) AS at
) AS moved
CROSS JOIN LATERAL jsonb_populate_record(
    (original)::inventory_stockmovement, jsonb_build_object(
        'id', pg_temp.copied(original.id, copy.product_id::text, make_interval(days => {days})),
        'product_id', copy.product_id, 'created_at', at, 'on_hand_delta', received,
        'on_hand_after', received, 'reserved_after', 0,
        'reference', 'product:' || copy.product_id || ':created')) AS row
"""
_MOVE = """
INSERT INTO inventory_stockmovement
SELECT row.* FROM (
    SELECT copy, original, stock.product_id, stock.received,
           sum(original.on_hand_delta) OVER chain AS on_hand,
           sum(original.reserved_delta) OVER chain AS reserved
    FROM copy JOIN inventory_stockmovement AS original ON original.order_id = copy.old_id
    JOIN stock ON stock.product_id = pg_temp.copied(original.product_id, copy.products)
        AND stock.location_id = original.location_id
    WINDOW chain AS (PARTITION BY stock.product_id, stock.location_id
                     ORDER BY original.created_at - copy.shift, copy.salt, original.id)
) AS moved
CROSS JOIN LATERAL jsonb_populate_record(original, jsonb_build_object(
    'id', pg_temp.copied((original).id, (copy).salt, (copy).shift),
    'product_id', product_id, 'order_id', (copy).order_id,
    'created_at', (original).created_at - (copy).shift,
    'on_hand_after', received + on_hand, 'reserved_after', reserved,
    'reference', split_part((original).reference, ':', 1) || ':'
        || pg_temp.copied(split_part((original).reference, ':', 2)::uuid, (copy).salt,
                          (copy).shift)
        || substr((original).reference, length(split_part((original).reference, ':', 1)) + 38)
)) AS row
"""
_LEVELS = """
INSERT INTO inventory_stocklevel SELECT row.* FROM stock
JOIN inventory_stocklevel AS original
    ON original.product_id = stock.original_id AND original.location_id = stock.location_id
JOIN (
    SELECT product_id, location_id, sum(on_hand_delta) AS on_hand, sum(reserved_delta) AS reserved
    FROM inventory_stockmovement GROUP BY 1, 2
) AS total ON total.product_id = stock.product_id AND total.location_id = stock.location_id
CROSS JOIN LATERAL jsonb_populate_record(original, jsonb_build_object(
    'id', uuidv7(), 'product_id', stock.product_id, 'on_hand', total.on_hand,
    'reserved', total.reserved
)) AS row
"""


def copy_stock() -> None:
    """Create stock, movements and levels for the orders in the temporary table `copy`."""
    run(_STOCK)
    [(days,)] = rows("SELECT 1 + extract(day FROM max(shift))::int FROM copy")
    run(_RECEIVE.format(days=days))
    run(_MOVE)
    run(_LEVELS)
