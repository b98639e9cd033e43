"""The deadline of a request, passed down to everything it calls.

Each call is limited to `min(its own limit, time left)`, or to its own limit without a deadline.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from oms.core.errors import DeadlineExceeded

_arrived: ContextVar[float | None] = ContextVar("arrived", default=None)
_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)


@contextmanager
def arrived_at(moment: float) -> Iterator[None]:
    """Count the deadlines of the block from `moment`, of time.monotonic: what waited is late."""
    token = _arrived.set(moment)
    try:
        yield
    finally:
        _arrived.reset(token)


@contextmanager
def deadline_in(*, seconds: float) -> Iterator[None]:
    """Set a deadline in `seconds` for the block, unless an outer deadline is earlier."""
    outer, arrived = _deadline.get(), _arrived.get()
    mine = (time.monotonic() if arrived is None else arrived) + seconds
    token = _deadline.set(mine if outer is None else min(mine, outer))
    try:
        yield
    finally:
        _deadline.reset(token)


def time_left() -> float | None:
    """Seconds until the deadline, never negative; None without one."""
    deadline = _deadline.get()
    return None if deadline is None else max(0.0, deadline - time.monotonic())


def within_deadline(limit: float) -> float:
    """The smaller of `limit` and the time left, in seconds. Raises DeadlineExceeded at zero."""
    left = time_left()
    if left is None:
        return limit
    if left <= 0:
        raise DeadlineExceeded
    return min(limit, left)
