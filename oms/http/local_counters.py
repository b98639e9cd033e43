"""The counting of rate limits in one process, for as long as Redis is away."""

from __future__ import annotations

import math
import time
from threading import Lock
from typing import Any

# Subjects that a process counts by itself; when there are more it begins anew.
_REMEMBERED = 100_000


class LocalCounters:
    """Sliding window counters as those of the script in oms/http/rate_limits.py."""

    def __init__(self) -> None:
        self._states: dict[str, tuple[int, int, int]] = {}
        self._lock = Lock()

    def count(self, key: str, amount: int, window: int) -> dict[str, Any]:
        """Count a request against `amount` in `window` seconds; what became of it."""
        with self._lock:
            if len(self._states) >= _REMEMBERED:
                self._states.clear()
            now = time.time()
            slot, past = int(now // window), (now % window) / window
            known, current, previous = self._states.get(key, (slot, 0, 0))
            if known != slot:
                previous, current = (current if known == slot - 1 else 0), 0
            weighted = math.floor(previous * (1 - past)) + current
            allowed = weighted < amount
            if allowed:
                current, weighted = current + 1, weighted + 1
            self._states[key] = (slot, current, previous)
        wait = window * (1 - past)
        if current < amount and previous:
            wait = max(0.0, (1 - past) - (amount - current) / previous) * window
        elif current >= amount:
            wait += window * (1 - amount / current)
        reset_in = max(1, math.ceil(wait))
        return {"allowed": allowed, "remaining": max(0, amount - weighted), "reset_in": reset_in}

    def take_back(self, key: str) -> None:
        """Undo `count` of a request; of a subject that is forgotten there is nothing to undo."""
        with self._lock:
            if (state := self._states.get(key)) is not None:
                slot, current, previous = state
                self._states[key] = (slot, current - 1, previous)
