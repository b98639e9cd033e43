"""Random faults for experiments; there are none by default."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Fault(StrEnum):
    """What goes wrong with a write.

    SLOW             it succeeds, and is answered some seconds late
    ERROR            500, with nothing done
    ANSWER_LOST      it succeeds, and the connection is closed without a response
    WEBHOOK_DOUBLED  its webhook is delivered twice, and out of order
    """

    SLOW = "slow"
    ERROR = "error"
    ANSWER_LOST = "answer-lost"
    WEBHOOK_DOUBLED = "webhook-doubled"


@dataclass(frozen=True, kw_only=True)
class Faults:
    """A share `rate` (0 to 1) of all writes gets one of the faults `kinds`; `seed` repeats them."""

    rate: float = 0.0
    kinds: Sequence[Fault] = tuple(Fault)
    seed: int = 0

    def of(self, *, kind: str, key: str, attempt: int) -> Fault | None:
        """The fault of an attempt at a write.

        Depends on the arguments and the seed alone, not on the order of concurrent requests.
        """
        if not self.rate:
            return None
        generator = random.Random(f"{self.seed}/{kind}/{key}/{attempt}")
        return generator.choice(self.kinds) if generator.random() < self.rate else None
