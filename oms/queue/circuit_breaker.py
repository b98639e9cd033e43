"""Sparing a service that does not answer."""

from __future__ import annotations

import time


class CircuitBreaker:
    """Limits the calls to a service to single ones `pause` seconds apart while it is away.

    It counts as away after so many `failures` without a success in between. What waits for it uses
    up no attempts then, and continues at full speed with the first success. One for each process.
    """

    def __init__(self, *, failures: int, pause: float) -> None:
        self.pause = pause
        self._allowed_failures = failures
        self._failures = 0
        self._next_call = 0.0

    @property
    def is_open(self) -> bool:
        """Whether the service counts as away."""
        return self._failures >= self._allowed_failures

    def allow(self, calls: int) -> int:
        """How many of so many calls are to be made now: all of them, one, or none."""
        if not self.is_open:
            return calls
        now = time.monotonic()
        if not calls or now < self._next_call:
            return 0
        self._next_call = now + self.pause
        return 1

    def record(self, *, is_answered: bool) -> None:
        """Record a call that has ended."""
        self._failures = 0 if is_answered else self._failures + 1
        if self.is_open:
            self._next_call = time.monotonic() + self.pause
