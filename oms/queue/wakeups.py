"""Waking workers by messages that may be lost.

Rows are the work, so a message carries nothing and one that never arrives costs only time: the
schedule wakes the same tasks every few seconds. Hence a wake-up never fails, and never makes its
caller wait for long.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import structlog
from celery import current_app
from django.core.cache import cache
from django.db import transaction
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

log = structlog.get_logger(__name__)

# After a failure the broker is left alone for that many seconds.
_PAUSE = 5.0
# A pending wake-up is forgotten after that many seconds, in case its message was lost.
_PENDING = 2
# What stands for a task: that a message for it waits, or that a worker is at it.
_SENT, _AWAKE = "sent", "awake"

_closed_until = 0.0
_gathered: ContextVar[set[str] | None] = ContextVar("gathered_wake_ups", default=None)


def wake_on_commit(task: str) -> None:
    """Wake the Celery task called `task`, which takes no arguments, once this has committed."""
    transaction.on_commit(lambda: _wake_or_gather(task), robust=True)


@contextmanager
def collected_wakeups() -> Iterator[set[str]]:
    """Gather the tasks to be woken by what is committed inside, for the caller to wake later.

    So a batch of many changes sends one message, and not from the thread that commits.
    """
    gathered: set[str] = set()
    token = _gathered.set(gathered)
    try:
        yield gathered
    finally:
        _gathered.reset(token)


def _wake_or_gather(task: str) -> None:
    gathered = _gathered.get()
    if gathered is None:
        wake(task)
    else:
        gathered.add(task)


def wake(task: str) -> None:
    """Send the Celery task called `task`, unless a message for it is already waiting.

    The task must call `woken` before it looks for work for the last time, so that whatever is
    committed after that sends a message of its own.
    """
    global _closed_until
    if time.monotonic() < _closed_until:
        return
    try:
        if cache.add(_key(task), _SENT, timeout=_PENDING):
            current_app.send_task(task)
    except (OperationalError, RedisError, OSError) as error:
        _closed_until = time.monotonic() + _PAUSE
        log.warning("wake_up_failed", task=task, error=type(error).__name__)


def woken(task: str) -> None:
    """Note that the task called `task` looks for work from now on, and then never again.

    The next wake-up sends a message again.
    """
    try:
        cache.delete(_key(task))
    except (RedisError, OSError) as error:
        log.warning("wake_up_not_cleared", task=task, error=type(error).__name__)


def stay_awake(task: str) -> None:
    """Let no message be sent for the task called `task`: its caller will look for work again.

    Holds for two seconds, so that a worker that dies meanwhile costs no more than that. The caller
    calls `woken` before it looks for the last time.
    """
    try:
        cache.set(_key(task), _AWAKE, timeout=_PENDING)
    except (RedisError, OSError) as error:
        log.warning("wake_up_not_held", task=task, error=type(error).__name__)


def is_awake(task: str) -> bool:
    """Whether some worker is at the task called `task`, and will look for work once more."""
    try:
        return bool(cache.get(_key(task)) == _AWAKE)
    except (RedisError, OSError) as error:
        log.warning("wake_up_not_read", task=task, error=type(error).__name__)
        return False


def _key(task: str) -> str:
    return f"wake:{task}"
