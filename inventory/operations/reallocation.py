"""Which orders lose stock that is no longer on hand, and which get what is available.

Where less is on hand than is reserved, the latest orders that hold something there lose it. They
are moved to other locations, and what finds nothing there joins the queue, at the place of its
order's id. Then what is available is given to the queue in its order, from locations by priority.
The number of statements does not depend on how many products and orders there are, but for the
pages of a long ledger.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from uuid import UUID

from inventory.events import StockAllocated, StockLost
from inventory.holdings import holdings_of
from inventory.locks import LockedLevel
from inventory.models import MovementKind
from inventory.operations.locked_stock import Cause, LockedStock
from inventory.operations.waiting import WaitingRows
from oms.core.actor import system
from oms.core.ids import new_id
from oms.db.pipeline import execute
from oms.events.types import DomainEvent

# A product and a location.
Place = tuple[UUID, UUID]

# The next movements of each product back in time, as: how many, the oldest, and the orders for
# which they reserve something at the location.
_PAGES = """
    SELECT place.product_id, place.location_id, count(*), (array_agg(page.id ORDER BY page.id))[1],
           array_agg(DISTINCT page.order_id) FILTER (
               WHERE page.kind = 'reserve' AND page.location_id = place.location_id
                 AND page.order_id IS NOT NULL)
    FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[]) AS place (product_id, location_id, before)
    CROSS JOIN LATERAL (
        SELECT id, kind, location_id, order_id FROM inventory_stockmovement
        WHERE product_id = place.product_id AND id < place.before
        ORDER BY id DESC LIMIT %s
    ) AS page
    GROUP BY place.product_id, place.location_id
"""
_PAGE = 1_000
_NEWEST = UUID(int=2**128 - 1)


class Reallocation:
    """One reallocation of the products whose stock is locked."""

    def __init__(self, stock: LockedStock, waiting: WaitingRows) -> None:
        self._stock, self._waiting = stock, waiting
        self._id = new_id()
        self.actor = system("allocation", request_id=f"allocation-{self._id}")
        # By order and level; the movements follow in the end, one for each.
        self._given: Counter[tuple[UUID, UUID]] = Counter()
        self._levels: dict[UUID, LockedLevel] = {}
        self._left: dict[UUID, int] = {}

    def run(self, *, short: Iterable[LockedLevel], freed: Iterable[UUID]) -> list[DomainEvent]:
        """Decide the movements and the queue; returns the events.

        `short` are the levels with less on hand than is reserved, `freed` the products of which
        something became available.
        """
        lost = self._take_from_the_latest({_place(level): -level.available for level in short})
        for level in (level for id in {*freed, *(p for p, _ in lost)} for level in self._of(id)):
            self._levels[level.id], self._left[level.id] = level, level.available
        waits: list[DomainEvent] = []
        # Of those who lose, the earliest order is moved first.
        for (product_id, order_id), quantity in sorted(lost.items(), key=lambda one: one[0][1]):
            if rest := quantity - self._give(product_id, order_id, quantity):
                self._waiting.add(product_id, rest, order_id=order_id, place=order_id)
                waits.append(StockLost(product_id=product_id, order_id=order_id, quantity=rest))
        served = self._serve(freed)
        for (order_id, level_id), quantity in self._given.items():
            self._stock.move(
                self._levels[level_id],
                MovementKind.RESERVE,
                reserved=quantity,
                cause=self._cause(order_id),
            )
        return [*waits, *served]

    def _take_from_the_latest(self, excess: Mapping[Place, int]) -> Counter[tuple[UUID, UUID]]:
        """Release the excess of each place; returns the quantities by product and order."""
        lost: Counter[tuple[UUID, UUID]] = Counter()
        if not excess:
            return lost
        for place, order_id, quantity in self._latest_holders(excess):
            [(level, _)] = self._stock.levels_at({place: quantity})
            self._stock.move(
                level, MovementKind.RELEASE, reserved=-quantity, cause=self._cause(order_id)
            )
            lost[level.product_id, order_id] += quantity
        return lost

    def _latest_holders(self, excess: Mapping[Place, int]) -> list[tuple[Place, UUID, int]]:
        """The latest orders that hold something at each place, with what they lose of it.

        The ledger is read backwards, a page for each place at a time. Every order that reserved
        something before a page began is older than the page's oldest movement, as ids are in the
        order of their creation: so the newer ones among those found so far are the latest.
        """
        chosen = []
        left, before = dict(excess), dict.fromkeys(excess, _NEWEST)
        unsaved = self._moved_for_orders(excess)
        seen: dict[Place, set[UUID]] = {place: set() for place in excess}
        held: dict[Place, dict[UUID, int]] = {place: {} for place in excess}
        while left:
            pages = self._pages({place: before[place] for place in left})
            new = {
                place: ({*orders} | unsaved[place].keys()) - seen[place]
                for place, (_, _, orders) in pages.items()
            }
            holdings = holdings_of({id for orders in new.values() for id in orders})
            for of_order in holdings.values():
                # A second loss joins the first in the queue.
                self._waiting.read(of_order.waiting)
            for place, (number, oldest, _) in pages.items():
                before[place] = oldest
                seen[place] |= new[place]
                for id in new[place]:
                    held[place][id] = holdings[id].reserved.get(place, 0) + unsaved[place][id]
                for order_id in sorted(held[place], reverse=True):
                    if number == _PAGE and order_id < oldest:
                        break
                    if quantity := min(held[place].pop(order_id), left[place]):
                        left[place] -= quantity
                        chosen.append((place, order_id, quantity))
                if number < _PAGE and left[place]:
                    raise ValueError(f"More is reserved at {place} than orders hold there.")
            left = {place: quantity for place, quantity in left.items() if quantity}
        return chosen

    def _moved_for_orders(self, places: Iterable[Place]) -> dict[Place, Counter[UUID]]:
        """What this transaction has reserved and released for orders at the places so far."""
        moved: dict[Place, Counter[UUID]] = {place: Counter() for place in places}
        for movement in self._stock.movements:
            place, order_id = _place(movement.level), movement.cause.order_id
            if place in moved and order_id is not None:
                moved[place][order_id] += movement.reserved_delta
        return moved

    def _pages(self, before: Mapping[Place, UUID]) -> dict[Place, tuple[int, UUID, list[UUID]]]:
        products, locations = zip(*before, strict=True)
        values = [list(products), list(locations), list(before.values()), _PAGE]
        pages = {place: (0, before[place], list[UUID]()) for place in before}
        for product_id, location_id, number, oldest, orders in execute(_PAGES, values).rows():
            pages[product_id, location_id] = (number, oldest, orders or [])
        return pages

    def _serve(self, freed: Iterable[UUID]) -> list[DomainEvent]:
        available = {id: n for id in freed if (n := self._left_of(id)) > 0}
        if not available:
            return []
        served: Counter[tuple[UUID, UUID]] = Counter()
        for row in self._waiting.next_for(available):
            if given := self._give(row.product_id, row.order_id, row.quantity):
                row.quantity -= given
                served[row.product_id, row.order_id] += given
        return [
            StockAllocated(product_id=product_id, order_id=order_id, quantity=quantity)
            for (product_id, order_id), quantity in served.items()
        ]

    def _give(self, product_id: UUID, order_id: UUID, quantity: int) -> int:
        """Reserve as much of the quantity as there is; returns how much."""
        wanted = quantity
        for level in self._of(product_id):
            take = min(max(self._left[level.id], 0), wanted)
            if take:
                self._left[level.id] -= take
                self._given[order_id, level.id] += take
                wanted -= take
        return quantity - wanted

    def _left_of(self, product_id: UUID) -> int:
        return sum(max(self._left[level.id], 0) for level in self._of(product_id))

    def _of(self, product_id: UUID) -> Iterable[LockedLevel]:
        return self._stock.levels_of(product_id)

    def _cause(self, order_id: UUID) -> Cause:
        reference = f"allocation:{self._id}:{order_id}"
        return Cause(actor=self.actor, reference=reference, order_id=order_id)


def _place(level: LockedLevel) -> Place:
    return level.product_id, level.location_id
