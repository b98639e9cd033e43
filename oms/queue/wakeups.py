"""Wake-ups of workers: messages that may be lost.

The work is in the rows, so a message has no content, and losing one only causes a delay: the
schedule wakes the same tasks every few seconds. So a wake-up never raises, and never blocks its
caller for long.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import structlog
from celery import current_app
from django.conf import settings
from django.db import transaction
from kombu.exceptions import OperationalError
from redis.client import PubSub

from oms.core.redis import ERRORS, breaker, redis_client

log = structlog.get_logger(__name__)

# A flag expires after so many seconds, in case its message was lost or its worker killed.
_FLAG_SECONDS = 2
# The values of a task's flag: a message for it is waiting, or a worker holds messages back.
_SENT, _HELD = b"sent", b"held"

_sender: Callable[[str], None] | None = None


def wake_on_commit(task: str) -> None:
    """Wake the Celery task called `task`, which takes no arguments, once this has committed."""
    transaction.on_commit(lambda: (_sender or wake)(task), robust=True)


@contextmanager
def wakeups_sent_by(sender: Callable[[str], None]) -> Iterator[None]:
    """Let `sender` wake tasks after commits of this process, within the block.

    So a web process sends one message for many commits, and not from a thread that commits.
    """
    global _sender
    before, _sender = _sender, sender
    try:
        yield
    finally:
        _sender = before


def wake(task: str) -> None:
    """Send the Celery task called `task`, unless a message for it is waiting or held back.

    The task must call `release_wakeups` before it looks for work for the last time, so that
    later commits send a message of their own. Listeners (WakeUpListener) are woken each time.
    """
    if breaker(settings.REDIS_URL).is_open:
        return
    try:
        # Both in one round trip, because it is made many times a second.
        commands = redis_client(settings.REDIS_URL).pipeline(transaction=False)
        commands.publish(_channel(task), b"")
        commands.set(_flag(task), _SENT, nx=True, ex=_FLAG_SECONDS)
        _, is_first = commands.execute()
        if is_first:
            current_app.send_task(task)
    except (OperationalError, *ERRORS) as error:
        breaker(settings.REDIS_URL).open(error)
        log.warning("wake_up_failed", task=task, error=type(error).__name__)


def hold_wakeups(task: str) -> None:
    """Send no messages for the task called `task`: the caller will look for work again.

    Holds for two seconds, so a killed worker delays work by no more than that. The caller
    calls `release_wakeups` before it looks for the last time.
    """
    with _tolerated_outage(task):
        redis_client(settings.REDIS_URL).set(_flag(task), _HELD, ex=_FLAG_SECONDS)


def release_wakeups(task: str) -> None:
    """Let the next wake-up of the task called `task` send a message again."""
    with _tolerated_outage(task):
        redis_client(settings.REDIS_URL).delete(_flag(task))


def wakeups_held(task: str) -> bool:
    """Whether a worker is processing the work of the task called `task`, and will poll again."""
    with _tolerated_outage(task):
        return bool(redis_client(settings.REDIS_URL).get(_flag(task)) == _HELD)
    return False


@contextmanager
def _tolerated_outage(task: str) -> Iterator[None]:
    """Without Redis, workers continue with more messages, or with those of the schedule alone."""
    try:
        yield
    except ERRORS as error:
        log.warning("wake_up_flag_failed", task=task, error=type(error).__name__)


class WakeUpListener:
    """Receives the wake-ups of one task in a process that is no worker; for one thread."""

    def __init__(self, task: str) -> None:
        self._task = task
        self._subscription: PubSub | None = None

    def wait(self, *, seconds: float) -> bool:
        """Wait for a wake-up, for so many seconds at most; whether there was one."""
        began = time.monotonic()
        try:
            if self._subscription is None:
                client = redis_client(settings.REDIS_URL)
                subscription: PubSub = client.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]  # the library's
                subscription.subscribe(_channel(self._task))
                self._subscription = subscription
            return self._receive(self._subscription, seconds=seconds)
        except ERRORS:
            self.close()
            time.sleep(max(0.0, began + seconds - time.monotonic()))
            return False

    def _receive(self, subscription: PubSub, *, seconds: float) -> bool:
        """Whether there was a message; all that have arrived count as one."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if subscription.get_message(timeout=left) is not None:
                while subscription.get_message(timeout=0) is not None:
                    pass
                return True
        return False

    def close(self) -> None:
        """Stop listening."""
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            with suppress(*ERRORS):
                subscription.close()


def _flag(task: str) -> str:
    return f"oms:wake:{task}"


def _channel(task: str) -> str:
    return f"woken:{task}"
