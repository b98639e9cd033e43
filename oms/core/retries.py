"""When work that failed is tried again."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """At most `attempts`, with pauses that double from `first_pause` to `longest_pause` seconds."""

    attempts: int
    first_pause: float
    longest_pause: float

    def pause_after(self, attempts: int) -> timedelta | None:
        """The pause after that many failed attempts; None if that was the last one.

        Up to a quarter shorter at random, so that what failed together is not retried together.
        """
        if attempts >= self.attempts:
            return None
        doubled = self.first_pause * 2 ** min(max(attempts - 1, 0), 30)
        return timedelta(seconds=min(self.longest_pause, doubled) * random.uniform(0.75, 1.0))
