"""The actions on each order of the demo shop, chosen before any order is placed.

Nothing here depends on the current time. The oldest orders are finished, the newest are pending.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from enum import StrEnum
from itertools import accumulate
from random import Random

from oms.demo.products import DemoProduct


class Action(StrEnum):
    """Something that happens to an order after its placing."""

    DECLINE = "decline"
    RETRY_PAYMENT = "retry payment"
    TIME_OUT = "time out"
    CAPTURE = "capture"
    PROCESS = "process"
    HOLD = "hold"
    RESUME = "resume"
    SHIP_PART = "ship part"
    SHIP = "ship"
    DELIVER = "deliver"
    CANCEL = "cancel"
    EXPIRE = "expire"
    REFUND_PART = "refund part"
    RETURN = "return"
    SETTLE_REFUND = "settle refund"


@dataclass(frozen=True, kw_only=True)
class Phase:
    """Orders of one age.

    `share` of the orders of a month, but at least `at_least`, are placed from `oldest` to `newest`
    before the present; the first phase takes the rest. `scenarios` are actions with weights, each
    of which occurs at least once if there are enough orders.
    """

    share: float = 0.0
    at_least: int = 0
    oldest: timedelta = timedelta(0)
    newest: timedelta
    scenarios: Sequence[tuple[tuple[Action, ...], int]]


A = Action
_DELIVERED = (A.CAPTURE, A.PROCESS, A.SHIP, A.DELIVER)
_PHASES = (
    Phase(
        newest=timedelta(days=4),
        scenarios=(
            (_DELIVERED, 74),
            ((A.CAPTURE, A.PROCESS, A.SHIP_PART, A.SHIP, A.DELIVER), 8),
            ((A.DECLINE, A.RETRY_PAYMENT, *_DELIVERED), 4),
            ((A.TIME_OUT, *_DELIVERED), 2),
            ((A.CAPTURE, A.HOLD, A.RESUME, A.PROCESS, A.SHIP, A.DELIVER), 2),
            ((*_DELIVERED, A.REFUND_PART, A.SETTLE_REFUND), 3),
            ((*_DELIVERED, A.RETURN, A.SETTLE_REFUND), 2),
            ((A.CANCEL,), 2),
            ((A.CAPTURE, A.CANCEL, A.SETTLE_REFUND), 3),
            ((A.EXPIRE,), 2),
            ((A.DECLINE, A.EXPIRE), 1),
            ((A.DECLINE, A.CANCEL), 1),
        ),
    ),
    Phase(
        share=0.08,
        at_least=8,
        oldest=timedelta(days=4),
        newest=timedelta(days=1.5),
        scenarios=(
            ((A.CAPTURE, A.PROCESS, A.SHIP), 60),
            (_DELIVERED, 15),
            ((A.CAPTURE, A.PROCESS, A.SHIP_PART, A.SHIP), 8),
            ((A.CAPTURE, A.PROCESS, A.SHIP_PART), 12),
            ((A.CAPTURE, A.PROCESS), 10),
        ),
    ),
    Phase(
        share=0.055,
        at_least=8,
        oldest=timedelta(days=1.5),
        newest=timedelta(hours=1),
        scenarios=(
            ((A.CAPTURE,), 40),
            ((A.CAPTURE, A.PROCESS), 30),
            ((A.CAPTURE, A.HOLD), 6),
            ((A.CAPTURE, A.PROCESS, A.SHIP_PART, A.HOLD), 4),
            ((A.CAPTURE, A.CANCEL), 2),
            ((A.TIME_OUT, A.CAPTURE), 2),
        ),
    ),
    Phase(
        share=0.015,
        at_least=10,
        oldest=timedelta(minutes=20),
        newest=timedelta(minutes=1),
        scenarios=(((), 40), ((A.DECLINE,), 20), ((A.TIME_OUT,), 10)),
    ),
)
_PAYING = {A.CAPTURE, A.DECLINE, A.TIME_OUT}

_QUANTITIES, _QUANTITY_WEIGHTS = (1, 2, 3, 4, 6), (66, 20, 8, 4, 2)
_LINES, _LINE_WEIGHTS = (1, 2, 3, 4, 5), (26, 30, 22, 13, 9)
_NOTES = (
    "Please leave it with the neighbours.",
    "It is a gift; please do not enclose an invoice.",
    "The bell is broken, please knock.",
    "Please deliver after 5 p.m.",
)
# How many orders are placed at a weekday and hour of the business time zone.
_BY_WEEKDAY = (112, 108, 104, 102, 110, 92, 78)
_BY_HOUR = (
    *(9, 5, 3, 2, 2, 4, 12, 28, 44, 56, 62, 66),
    *(70, 64, 58, 56, 58, 64, 74, 88, 96, 84, 52, 24),
)
_SLOT = timedelta(minutes=15)


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedOrder:
    """An order to be placed; `customer` and products are given by index, `lines` with quantities.

    `seed` is for random choices when an action happens.
    """

    placed_at: datetime
    actions: tuple[Action, ...]
    with_payment: bool
    customer: int
    lines: tuple[tuple[int, int], ...]
    note: str
    seed: int


def plan_orders(
    *,
    orders: int,
    days: int,
    now: datetime,
    zone: tzinfo,
    customers: int,
    products: Sequence[DemoProduct],
    random: Random,
) -> list[PlannedOrder]:
    """So many orders of the last `days`, in the order of placing."""
    sold = [index for index, product in enumerate(products) if product.is_active]
    popularity = list(accumulate(products[index].popularity for index in sold))
    # Few customers order often (Zipf's law).
    loyalty = list(accumulate(1 / (rank + 3) for rank in range(customers)))
    planned = []
    for phase, size in _sizes(orders, days=days).items():
        oldest = phase.oldest or timedelta(days=days)
        times = _placing_times(oldest, phase.newest, size, now=now, zone=zone, random=random)
        for number, (at, actions) in enumerate(
            zip(times, _scenarios(phase, size, random=random), strict=True)
        ):
            planned.append(
                PlannedOrder(
                    placed_at=at,
                    actions=actions,
                    # Some of the newest orders have a payment in progress.
                    with_payment=bool(_PAYING & set(actions))
                    or (phase is _PHASES[-1] and number % 3 == 0),
                    customer=random.choices(range(customers), cum_weights=loyalty)[0],
                    lines=_lines(actions, sold=sold, weights=popularity, random=random),
                    note=random.choice(_NOTES) if random.random() < 0.06 else "",
                    seed=random.getrandbits(32),
                )
            )
    return planned


def _sizes(orders: int, *, days: int) -> Mapping[Phase, int]:
    """The number of orders in each phase, the oldest first."""
    sizes, monthly = {}, orders * min(1.0, 30 / days)
    for phase in reversed(_PHASES[1:]):
        sizes[phase] = min(max(phase.at_least, round(monthly * phase.share)), orders)
        orders -= sizes[phase]
    return {_PHASES[0]: orders, **dict(reversed(sizes.items()))}


def _scenarios(phase: Phase, size: int, *, random: Random) -> list[tuple[Action, ...]]:
    scenarios = [actions for actions, _ in phase.scenarios]
    weights = [weight for _, weight in phase.scenarios]
    more = random.choices(scenarios, weights, k=max(size - len(scenarios), 0))
    chosen = scenarios[:size] + more
    random.shuffle(chosen)
    return chosen


def _lines(
    actions: Sequence[Action], *, sold: Sequence[int], weights: Sequence[int], random: Random
) -> tuple[tuple[int, int], ...]:
    number = random.choices(_LINES, _LINE_WEIGHTS)[0]
    products = dict.fromkeys(random.choices(sold, cum_weights=weights, k=number))
    lines = [(product, random.choices(_QUANTITIES, _QUANTITY_WEIGHTS)[0]) for product in products]
    if A.SHIP_PART in actions and len(lines) == 1 and lines[0][1] == 1:
        lines = [(lines[0][0], 2)]  # one unit cannot be shipped in two parts
    return tuple(lines)


def _placing_times(
    oldest: timedelta,
    newest: timedelta,
    size: int,
    *,
    now: datetime,
    zone: tzinfo,
    random: Random,
) -> list[datetime]:
    slots = max(1, (oldest - newest) // _SLOT)
    width = (oldest - newest) / slots
    weights = []
    for slot in range(slots):
        local = (now - oldest + slot * width).astimezone(zone)
        weights.append(_BY_WEEKDAY[local.weekday()] * _BY_HOUR[local.hour])
    chosen = random.choices(range(slots), cum_weights=list(accumulate(weights)), k=size)
    return sorted(
        (now - oldest + (slot + random.random()) * width).astimezone(UTC) for slot in chosen
    )
