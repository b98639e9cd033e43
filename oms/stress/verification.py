"""Comparing the answers of a stress test with the database."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import connection

from oms.stress.client import Outcome
from oms.stress.fixtures import StockedProduct

_PLACED = "SELECT note, id::text FROM orders_order WHERE note LIKE %s"

# The ordered quantity and the stock of products.
_SOLD = """
    SELECT product.id, product.sku, coalesce(sold.quantity, 0),
           coalesce(level.on_hand, 0), coalesce(level.reserved, 0)
    FROM inventory_product AS product
    LEFT JOIN (
        SELECT item.product_id, sum(item.quantity) AS quantity
        FROM orders_orderitem AS item JOIN orders_order ON orders_order.id = item.order_id
        WHERE orders_order.status NOT IN ('cancelled', 'expired') GROUP BY item.product_id
    ) AS sold ON sold.product_id = product.id
    LEFT JOIN (
        SELECT product_id, sum(on_hand) AS on_hand, sum(reserved) AS reserved
        FROM inventory_stocklevel GROUP BY product_id
    ) AS level ON level.product_id = product.id
    WHERE product.id = ANY(%s)
"""


def inconsistencies(outcome: Outcome, *, run: str) -> list[str]:
    """Sentences about answers that the database contradicts."""
    with connection.cursor() as cursor:
        cursor.execute(_PLACED, [f"stress {run} %"])
        placed: dict[str, list[str]] = {}
        for note, id in cursor.fetchall():
            placed.setdefault(note, []).append(id)
    found = [
        f"{note} was placed {len(ids)} times: {', '.join(sorted(ids))}"
        for note, ids in placed.items()
        if len(ids) > 1
    ]
    found += [
        f"{note} was acknowledged as {id}, but is {', '.join(placed.get(note, ())) or 'lost'}"
        for note, id in outcome.acknowledged.items()
        if placed.get(note, [None])[0] != id
    ]
    found += [f"{note} was refused but exists" for note in sorted(outcome.refused & set(placed))]
    known = outcome.acknowledged.keys() | outcome.refused | outcome.unanswered
    found += [f"{note} exists but was not requested" for note in sorted(set(placed) - known)]
    return found


def oversold(products: Sequence[StockedProduct]) -> list[str]:
    """Sentences about products that were oversold or whose stock levels are wrong."""
    stocks = {product.id: product.stock for product in products}
    with connection.cursor() as cursor:
        cursor.execute(_SOLD, [list(stocks)])
        rows = cursor.fetchall()
    return [
        f"{sku}: {sold} sold of {stocks[id]}, {on_hand} on hand, {reserved} reserved"
        for id, sku, sold, on_hand, reserved in rows
        if sold > stocks[id] or reserved > on_hand or stocks[id] - sold != on_hand - reserved
    ]
