"""What is to become of each order: its customer, its basket, its way, all drawn before time runs.

Nothing here depends on now. An order's place in the sequence decides how far it has come: the
oldest are finished, the newest wait for their money.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate
from random import Random

from oms.demo.products import Article


class Step(StrEnum):
    """One step of an order's way after its placing."""

    DECLINE = "decline"
    TRY_AGAIN = "try again"
    LOSE_SIGHT = "lose sight"
    PAY = "pay"
    PROCESS = "process"
    HOLD = "hold"
    RESUME = "resume"
    SHIP_SOME = "ship some"
    SHIP = "ship"
    DELIVER = "deliver"
    CANCEL = "cancel"
    EXPIRE = "expire"
    REFUND_SOME = "refund some"
    TAKE_BACK = "take back"
    REFUNDED = "refunded"


class Phase(StrEnum):
    """How far an order has come, from the oldest to the newest."""

    FINISHED = "finished"
    MOVING = "moving"
    FRESH = "fresh"
    NEWEST = "newest"


S = Step
_TO_DOOR = (S.PAY, S.PROCESS, S.SHIP, S.DELIVER)

# For each phase the ways that its orders go, with weights. Every way occurs at least once.
WAYS: dict[Phase, tuple[tuple[tuple[Step, ...], int], ...]] = {
    Phase.FINISHED: (
        (_TO_DOOR, 74),
        ((S.PAY, S.PROCESS, S.SHIP_SOME, S.SHIP, S.DELIVER), 8),
        ((S.DECLINE, S.TRY_AGAIN, *_TO_DOOR), 4),
        ((S.LOSE_SIGHT, *_TO_DOOR), 2),
        ((S.PAY, S.HOLD, S.RESUME, S.PROCESS, S.SHIP, S.DELIVER), 2),
        ((*_TO_DOOR, S.REFUND_SOME, S.REFUNDED), 3),
        ((*_TO_DOOR, S.TAKE_BACK, S.REFUNDED), 2),
        ((S.CANCEL,), 2),
        ((S.PAY, S.CANCEL, S.REFUNDED), 3),
        ((S.EXPIRE,), 2),
        ((S.DECLINE, S.EXPIRE), 1),
        ((S.DECLINE, S.CANCEL), 1),
    ),
    Phase.MOVING: (
        ((S.PAY, S.PROCESS, S.SHIP), 60),
        (_TO_DOOR, 15),
        ((S.PAY, S.PROCESS, S.SHIP_SOME, S.SHIP), 8),
        ((S.PAY, S.PROCESS, S.SHIP_SOME), 12),
        ((S.PAY, S.PROCESS), 10),
    ),
    Phase.FRESH: (
        ((S.PAY,), 40),
        ((S.PAY, S.PROCESS), 30),
        ((S.PAY, S.HOLD), 6),
        ((S.PAY, S.PROCESS, S.SHIP_SOME, S.HOLD), 4),
        ((S.PAY, S.CANCEL), 2),
        ((S.LOSE_SIGHT, S.PAY), 2),
    ),
    Phase.NEWEST: (
        ((), 40),  # with or without a payment under way, see `with_payment`
        ((S.DECLINE,), 20),
        ((S.LOSE_SIGHT,), 10),
    ),
}
# Of a month of orders; those of a longer time have a smaller part of them under way.
_MONTH = 30
_SHARES = ((Phase.MOVING, 0.08), (Phase.FRESH, 0.055), (Phase.NEWEST, 0.015))
# So many orders at least in each of those phases, if there are enough at all.
_AT_LEAST = {Phase.MOVING: 8, Phase.FRESH: 8, Phase.NEWEST: 10}
_MOST_NEWEST = 60

_QUANTITIES, _QUANTITY_WEIGHTS = (1, 2, 3, 4, 6), (66, 20, 8, 4, 2)
_LINES, _LINE_WEIGHTS = (1, 2, 3, 4, 5), (26, 30, 22, 13, 9)
_NOTES = (
    "Please leave it with the neighbours.",
    "It is a present; no invoice in the parcel, please.",
    "The bell is broken, please knock.",
    "Please deliver after 5 p.m.",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """One order to be: `customer` and the products of `lines` (with quantities) by their index.

    `luck` is the seed of what chance decides later, on its way.
    """

    phase: Phase
    steps: tuple[Step, ...]
    with_payment: bool
    declined_as: str
    customer: int
    lines: tuple[tuple[int, int], ...]
    note: str
    luck: int


def phase_sizes(orders: int, *, days: int) -> dict[Phase, int]:
    """How many of the orders of so many days are in each phase, the oldest phase first."""
    sizes = dict.fromkeys(Phase, 0)
    left = orders
    for phase, share in reversed(_SHARES):
        wanted = max(_AT_LEAST[phase], round(orders * share * _MONTH / days))
        if phase is Phase.NEWEST:
            wanted = min(wanted, _MOST_NEWEST)
        sizes[phase] = min(wanted, left)
        left -= sizes[phase]
    sizes[Phase.FINISHED] = left
    return sizes


def plans(
    *,
    sizes: Mapping[Phase, int],
    customers: int,
    catalogue: Sequence[Article],
    random: Random,
) -> Iterator[Plan]:
    """The plans of all orders, as many in each phase as `sizes` says, in the order of placing."""
    sold = [index for index, article in enumerate(catalogue) if article.is_active]
    weights = list(accumulate(catalogue[index].popularity for index in sold))
    # A few customers order often, many seldom (Zipf).
    regulars = list(accumulate(1 / (rank + 3) for rank in range(customers)))
    for phase, size in sizes.items():
        for number, steps in enumerate(_ways(phase, size, random=random)):
            yield Plan(
                phase=phase,
                steps=steps,
                with_payment=_pays(steps) or (phase is Phase.NEWEST and number % 3 == 0),
                declined_as=random.choice(("tok_declined", "tok_insufficient_funds")),
                customer=random.choices(range(customers), cum_weights=regulars)[0],
                lines=_basket(steps, sold=sold, weights=weights, random=random),
                note=random.choice(_NOTES) if random.random() < 0.06 else "",
                luck=random.getrandbits(32),
            )


def _pays(steps: Sequence[Step]) -> bool:
    return any(step in (S.PAY, S.DECLINE, S.LOSE_SIGHT) for step in steps)


def _ways(phase: Phase, size: int, *, random: Random) -> list[tuple[Step, ...]]:
    ways = [way for way, _ in WAYS[phase]]
    weights = [weight for _, weight in WAYS[phase]]
    chosen = ways[:size] + random.choices(ways, weights, k=max(size - len(ways), 0))
    random.shuffle(chosen)
    return chosen


def _basket(
    steps: Sequence[Step], *, sold: Sequence[int], weights: Sequence[int], random: Random
) -> tuple[tuple[int, int], ...]:
    wanted = random.choices(_LINES, _LINE_WEIGHTS)[0]
    chosen = dict.fromkeys(random.choices(sold, cum_weights=weights, k=wanted))
    lines = [(product, random.choices(_QUANTITIES, _QUANTITY_WEIGHTS)[0]) for product in chosen]
    if S.SHIP_SOME in steps and len(lines) == 1 and lines[0][1] == 1:
        lines = [(lines[0][0], 2)]  # one piece cannot travel in two parcels
    return tuple(lines)
