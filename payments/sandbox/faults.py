"""Faults at random, for experiments; there are none unless asked for."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Fault(StrEnum):
    """What goes wrong with a write.

    SLOW             it is done, and answered, some seconds late
    ERROR            500, with nothing done
    ANSWER_LOST      it is done, and the connection closed without an answer
    WEBHOOK_DOUBLED  its result is reported twice, and out of order
    """

    SLOW = "slow"
    ERROR = "error"
    ANSWER_LOST = "answer-lost"
    WEBHOOK_DOUBLED = "webhook-doubled"


@dataclass(frozen=True, kw_only=True)
class Faults:
    """A share `rate` (0 to 1) of all writes go wrong in one of `kinds`, as `seed` decides."""

    rate: float = 0.0
    kinds: Sequence[Fault] = tuple(Fault)
    seed: int = 0

    def of(self, *, kind: str, key: str, attempt: int) -> Fault | None:
        """The fault of that try of that write.

        It follows from its arguments and the seed alone, so that the order in which concurrent
        requests arrive changes nothing.
        """
        if not self.rate:
            return None
        dice = random.Random(f"{self.seed}/{kind}/{key}/{attempt}")
        return dice.choice(self.kinds) if dice.random() < self.rate else None
