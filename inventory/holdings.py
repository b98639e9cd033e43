"""What orders hold of products: the sums of the ledger, and what waits in the queues."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from oms.db.pipeline import execute


@dataclass(kw_only=True, slots=True)
class Waiting:
    """A row of a product's queue, of which `quantity` still waits."""

    id: UUID
    product_id: UUID
    order_id: UUID
    place: UUID
    quantity: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Holdings:
    """What an order holds of its products: reserved by product and location, and waiting."""

    reserved: dict[tuple[UUID, UUID], int]
    waiting: list[Waiting]

    def reserved_of(self, product_id: UUID) -> int:
        """The quantity of the product that is reserved, at all locations together."""
        return sum(n for (product, _), n in self.reserved.items() if product == product_id)

    def waiting_of(self, product_id: UUID) -> int:
        """The quantity of the product that waits."""
        return sum(row.quantity for row in self.waiting if row.product_id == product_id)


# The sums have neither id nor place, the rows of the queue no location.
_HOLDINGS = """
    SELECT order_id, product_id, location_id, NULL::uuid, NULL::uuid, SUM(reserved_delta)::bigint
    FROM inventory_stockmovement
    WHERE order_id = ANY(%s)
    GROUP BY order_id, product_id, location_id
    HAVING SUM(reserved_delta) <> 0
    UNION ALL
    SELECT order_id, product_id, NULL, id, place, quantity
    FROM inventory_waitingitem WHERE order_id = ANY(%s)
"""


def holdings_of(order_ids: Iterable[UUID]) -> dict[UUID, Holdings]:
    """What each of the orders holds; right as long as the stock levels of its products are locked.

    Without the locks it may change at any time, even while the order is locked: stock that is lost
    or brought moves quantities between locations and the queue.
    """
    holdings = {id: Holdings(reserved={}, waiting=[]) for id in order_ids}
    ids = list(holdings)
    for order_id, product_id, location_id, id, place, quantity in execute(
        _HOLDINGS, [ids, ids], prepared=False
    ).rows():
        if location_id is not None:
            holdings[order_id].reserved[product_id, location_id] = quantity
            continue
        row = Waiting(
            id=id, product_id=product_id, order_id=order_id, place=place, quantity=quantity
        )
        holdings[order_id].waiting.append(row)
    return holdings


# As many rows of each product as together want what is available of it.
_WAITING = """
    SELECT id, product_id, order_id, place, quantity
    FROM (
        SELECT waiting.id, waiting.product_id, waiting.order_id, waiting.place, waiting.quantity,
               available.quantity AS available,
               SUM(waiting.quantity) OVER (PARTITION BY waiting.product_id ORDER BY waiting.place)
                   - waiting.quantity AS before
        FROM unnest(%s::uuid[], %s::bigint[]) AS available (product_id, quantity)
        JOIN inventory_waitingitem AS waiting ON waiting.product_id = available.product_id
        WHERE waiting.id <> ALL(%s::uuid[])
    ) AS queue
    WHERE before < available
"""


def waiting_for(available: Mapping[UUID, int], *, besides: Iterable[UUID]) -> list[Waiting]:
    """The first of each product's queue that together want the quantity available, or all.

    The rows with the ids `besides` are left out. In no order.
    """
    values = [list(available), list(available.values()), list(besides)]
    return [
        Waiting(id=id, product_id=product_id, order_id=order_id, place=place, quantity=quantity)
        for id, product_id, order_id, place, quantity in execute(_WAITING, values).rows()
    ]


_LEVEL_IDS = "SELECT id FROM inventory_stocklevel WHERE product_id = ANY(%s)"


def level_ids_of(product_ids: Iterable[UUID]) -> set[UUID]:
    """The ids of all stock levels of the products."""
    return {id for (id,) in execute(_LEVEL_IDS, [list(product_ids)]).rows()}
