"""Counts rate limits in this process while Redis is unavailable."""

from __future__ import annotations

import math
import time
from threading import Lock
from typing import NamedTuple

# Subjects that a process remembers; when there are more, it starts again with none.
_MAX_SUBJECTS = 100_000


class WindowState(NamedTuple):
    """A limit after counting: `remaining` requests now, more within `reset_in` seconds."""

    allowed: bool
    remaining: int
    reset_in: int


class LocalCounters:
    """Fixed windows in memory; each process allows the full limit."""

    def __init__(self) -> None:
        self._counts: dict[str, tuple[int, int]] = {}
        self._lock = Lock()

    def reset(self) -> None:
        """Forget all counts."""
        self._counts.clear()

    def count(self, key: str, amount: int, window: int, *, cost: int = 1) -> WindowState:
        """Count a request of that cost against `amount` in `window` seconds."""
        number, past = divmod(time.time(), window)
        with self._lock:
            if len(self._counts) >= _MAX_SUBJECTS:
                self._counts.clear()
            known, count = self._counts.get(key, (number, 0))
            count = count if known == number else 0
            allowed = count + cost <= amount
            count += cost if allowed else 0
            self._counts[key] = (int(number), count)
        return WindowState(
            allowed=allowed,
            remaining=max(0, amount - count),
            reset_in=max(1, math.ceil(window - past)),
        )

    def take_back(self, key: str, *, cost: int = 1) -> None:
        """Undo `count` of a request, if its key is still known."""
        with self._lock:
            if (known := self._counts.get(key)) is not None:
                self._counts[key] = (known[0], known[1] - cost)


local_counters = LocalCounters()
