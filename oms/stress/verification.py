"""Proving from the database what the clients were told."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import connection

from oms.stress.buyers import Ware
from oms.stress.client import Outcome

_PLACED = "SELECT note, id::text FROM orders_order WHERE note LIKE %s"

# Of the test's wares: what its orders hold or have got, and what the shop has of them.
_SOLD = """
    SELECT product.id, product.sku, coalesce(sold.pieces, 0),
           coalesce(level.on_hand, 0), coalesce(level.reserved, 0)
    FROM inventory_product AS product
    LEFT JOIN (
        SELECT item.product_id, sum(item.quantity) AS pieces
        FROM orders_orderitem AS item JOIN orders_order ON orders_order.id = item.order_id
        WHERE orders_order.status NOT IN ('cancelled', 'expired') GROUP BY item.product_id
    ) AS sold ON sold.product_id = product.id
    LEFT JOIN (
        SELECT product_id, sum(on_hand) AS on_hand, sum(reserved) AS reserved
        FROM inventory_stocklevel GROUP BY product_id
    ) AS level ON level.product_id = product.id
    WHERE product.id = ANY(%s)
"""


def broken_promises(outcome: Outcome, *, run: str) -> list[str]:
    """What the database says other than the answers did; empty if every answer was true."""
    with connection.cursor() as cursor:
        cursor.execute(_PLACED, [f"stress {run} %"])
        placed: dict[str, list[str]] = {}
        for note, id in cursor.fetchall():
            placed.setdefault(note, []).append(id)
    broken = [
        f"{note} was placed {len(ids)} times: {', '.join(sorted(ids))}"
        for note, ids in placed.items()
        if len(ids) > 1
    ]
    broken += [
        f"{note} was acknowledged as {id}, and is {', '.join(placed.get(note, ())) or 'lost'}"
        for note, id in outcome.acknowledged.items()
        if placed.get(note, [None])[0] != id
    ]
    broken += [f"{note} was refused, and exists" for note in sorted(outcome.refused & set(placed))]
    told = outcome.acknowledged.keys() | outcome.refused | outcome.unanswered
    broken += [f"{note} exists, and nobody ordered it" for note in sorted(set(placed) - told)]
    return broken


def oversold(wares: Sequence[Ware]) -> list[str]:
    """The wares of which more was sold than there was, or whose levels do not say so."""
    stocks = {ware.id: ware.stock for ware in wares}
    with connection.cursor() as cursor:
        cursor.execute(_SOLD, [list(stocks)])
        rows = cursor.fetchall()
    return [
        f"{sku}: {pieces} sold of {stocks[id]}, {on_hand} on hand, {reserved} reserved"
        for id, sku, pieces, on_hand, reserved in rows
        if pieces > stocks[id] or reserved > on_hand or stocks[id] - pieces != on_hand - reserved
    ]
