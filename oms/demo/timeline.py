"""The past of the demo shop, told in the order in which it happens."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from random import Random

from django.conf import settings

from inventory.models import Product
from oms.core.actor import Actor
from oms.core.clock import business_date
from oms.demo.copy import Rows
from oms.demo.order_steps import Goods
from oms.demo.payment_steps import Money
from oms.demo.plans import Plan, Step
from oms.demo.randomness import Dice, number_suffix
from oms.demo.simulated_order import Life, Line
from orders.totals import PricedLine, order_totals

# How long after the step before it a step comes: from, to, in seconds.
_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0
_DELAYS: Mapping[Step, tuple[float, float]] = {
    Step.DECLINE: (1, 4),
    Step.TRY_AGAIN: (1 * _MINUTE, 12 * _MINUTE),
    Step.LOSE_SIGHT: (8, 12),
    Step.PAY: (1, 6),
    Step.PROCESS: (20 * _MINUTE, 9 * _HOUR),
    Step.HOLD: (10 * _MINUTE, 2 * _HOUR),
    Step.RESUME: (2 * _HOUR, 20 * _HOUR),
    Step.SHIP_SOME: (1 * _HOUR, 12 * _HOUR),
    Step.SHIP: (1 * _HOUR, 20 * _HOUR),
    Step.DELIVER: (1 * _DAY, 3 * _DAY),
    Step.CANCEL: (2 * _MINUTE, 18 * _MINUTE),
    Step.EXPIRE: (1, 16),  # after its time was up
    Step.REFUND_SOME: (5 * _HOUR, 3 * _DAY),
    Step.TAKE_BACK: (1 * _DAY, 5 * _DAY),
    Step.REFUNDED: (2, 8),
}


@dataclass(kw_only=True)
class History:
    """Lets orders live, in `parts` of equal size.

    `deliver` is called with the number of each part, from zero, before its first order.
    """

    products: Sequence[Product]
    goods: Goods
    money: Money
    rows: Rows
    dice: Dice
    now: datetime
    parts: int
    deliver: Callable[[int, datetime], None]
    _waiting: list[tuple[datetime, int, Life, Step]] = field(default_factory=list)
    _turn: Iterator[int] = field(default_factory=count)
    _numbers: set[str] = field(default_factory=set)

    def live(
        self,
        plans: Sequence[Plan],
        moments: Sequence[datetime],
        *,
        customers: Sequence[Actor],
        addresses: Sequence[dict[str, str]],
        placed: Callable[[], None],
    ) -> None:
        """Let the orders of `plans` be placed at `moments` and go their ways.

        `placed` is called after each placing.
        """
        steps = {**self.goods.steps(), **self.money.steps()}
        part = -1
        for number, (plan, moment) in enumerate(zip(plans, moments, strict=True)):
            while self._waiting and self._waiting[0][0] <= moment:
                self._step(steps)
            if number * self.parts // len(plans) != part:
                part = number * self.parts // len(plans)
                self.deliver(part, moment)
            life = self._born(plan, moment, customers[plan.customer], addresses[plan.customer])
            self.goods.place(life, moment)
            self._schedule(life)
            placed()
        while self._waiting:
            self._step(steps)

    def _step(self, steps: Mapping[Step, Callable[[Life, datetime], None]]) -> None:
        at, _, life, step = heapq.heappop(self._waiting)
        steps[step](life, at)
        if step is life.plan.steps[-1]:  # no way has a step twice
            life.save(self.rows)

    def _schedule(self, life: Life) -> None:
        """Note when each step of the way is due; a way that is too long for its age is hurried."""
        if not life.plan.steps:
            life.save(self.rows)
            return
        delays = [life.random.uniform(*_DELAYS[step]) for step in life.plan.steps]
        age = (self.now - life.placed_at).total_seconds()
        if Step.EXPIRE not in life.plan.steps and sum(delays) > age:
            delays = [delay * age * 0.98 / sum(delays) for delay in delays]
        at = life.placed_at
        for step, delay in zip(life.plan.steps, delays, strict=True):
            if step is Step.EXPIRE:
                at = life.placed_at + settings.ORDER_EXPIRY
            at += timedelta(seconds=delay)
            heapq.heappush(self._waiting, (at, next(self._turn), life, step))

    def _born(self, plan: Plan, at: datetime, customer: Actor, address: dict[str, str]) -> Life:
        products = [self.products[index] for index, _ in plan.lines]
        totals = order_totals(
            PricedLine(unit_price=product.price, quantity=quantity)
            for product, (_, quantity) in zip(products, plan.lines, strict=True)
        )
        id = self.dice.id_at(at)
        random = Random(plan.luck)
        return Life(
            id=id,
            number=self._number(at, random=random),
            customer=customer,
            address=address,
            plan=plan,
            random=random,
            lines=[
                Line(
                    id=self.dice.id_at(at),
                    product=index,
                    product_id=product.id,
                    sku=product.sku,
                    name=product.name,
                    quantity=quantity,
                    unit_price=product.price,
                    total=total,
                )
                for product, (index, quantity), total in zip(
                    products, plan.lines, totals.lines, strict=True
                )
            ],
            total=totals.total,
            currency=products[0].currency,
            placed_at=at,
            expires_at=at + settings.ORDER_EXPIRY,
            updated_at=at,
        )

    def _number(self, at: datetime, *, random: Random) -> str:
        """A number that no other order has."""
        day = f"{business_date(at):%Y%m%d}"
        while (number := f"{day}-{number_suffix(random)}") in self._numbers:
            pass
        self._numbers.add(number)
        return number
