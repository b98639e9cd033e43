"""What the demo shop receives: enough for what its customers are going to order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from oms.core.actor import Actor
from oms.demo.plans import Plan
from oms.demo.products import Article
from oms.demo.stock import Warehouse

# Hundredths of a delivery that go to the first location.
_FIRST_SHARE = 70


class Supplies:
    """Deliveries before each of `parts` equal parts of the orders, and the count at the end."""

    def __init__(
        self,
        *,
        catalogue: Sequence[Article],
        plans: Sequence[Plan],
        parts: int,
        warehouse: Warehouse,
        actor: Actor,
    ) -> None:
        self._catalogue = catalogue
        self._warehouse = warehouse
        self._actor = actor
        self._demand: list[Counter[int]] = [Counter() for _ in range(parts)]
        for number, plan in enumerate(plans):
            for product, quantity in plan.lines:
                self._demand[number * parts // len(plans)][product] += quantity

    def open(self, *, at: datetime) -> None:
        """The first stock: what the first part needs, and some that is left over."""
        random = self._warehouse.dice.random
        for product, article in enumerate(self._catalogue):
            spare = random.randrange(8, 120) if article.left_over is None else 6
            self._receive(product, self._demand[0][product] + spare, at=at, is_first=True)

    def deliver(self, part: int, at: datetime) -> None:
        """What that part of the orders needs; the first part's came with the opening."""
        if part == 0:
            return
        for product, quantity in sorted(self._demand[part].items()):
            self._receive(product, quantity, at=at, is_first=False)

    def count(self, *, at: datetime) -> None:
        """Correct the stock of those articles of which a certain number is to be left over."""
        for product, article in enumerate(self._catalogue):
            if article.left_over is not None:
                self._correct(product, article.left_over, at=at)

    def _receive(self, product: int, quantity: int, *, at: datetime, is_first: bool) -> None:
        first = -(-quantity * _FIRST_SHARE // 100)
        if is_first:
            self._warehouse.stock(product, 0, first, actor=self._actor, at=at)
        else:
            self._warehouse.adjust(product, 0, first, actor=self._actor, at=at)
        self._warehouse.adjust(product, 1, quantity - first, actor=self._actor, at=at)

    def _correct(self, product: int, left_over: int, *, at: datetime) -> None:
        shelf = self._warehouse.shelves[product]
        surplus = shelf.available - left_over
        changes = {0: -surplus}
        if surplus > 0:
            changes = {}
            for place in (1, 0):
                kept = 0 if shelf.product.backorderable else shelf.reserved[place]
                changes[place] = -min(surplus, shelf.on_hand[place] - kept)
                surplus += changes[place]
        for place, delta in changes.items():
            self._warehouse.adjust(
                product,
                place,
                delta,
                actor=self._actor,
                at=at,
                reason="correction",
                note="Monthly count",
            )
