"""Sending what is due: claim under a lease, hand to the mail server, record what became of it.

The claim is committed before the mail server is talked to and the outcome after it. A worker that
dies in between leaves a mail that may have gone out; it is sent again, with the same Message-ID,
when the lease runs out. Sending exactly once does not exist.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.core.mail import get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.db.models.functions import Now

from notifications.mail import composed, is_final
from notifications.models import DeliveryState, Notification
from oms.core import clock
from oms.db.bulk_writes import update_rows
from oms.db.transactions import durable, transaction
from oms.queue.leases import backoff, claim_due, due

log = structlog.get_logger(__name__)

# How many mails one worker claims at once.
AT_ONCE = 100
# How long, in seconds, what was sent goes unrecorded, so that a death doubles no more mails.
_NOTED_EVERY = 0.25
# For how long, in seconds, a batch goes on: a task may live for a minute, and a mail server may be
# slow with each mail.
_SENT_FOR = 10.0
# Longer than a task may live, so a lease that ran out belongs to a worker that is dead.
LEASE = timedelta(seconds=90)
# The pauses between them add up to two hours.
MAX_ATTEMPTS = 8
_FIRST_PAUSE, _LONGEST_PAUSE = 60, 3600

Connect = Callable[[], BaseEmailBackend]


class MailSender:
    """Sends mail over one connection, for as long as it holds.

    A mail server that cannot be reached is left alone for `pause` seconds. Nothing is claimed
    meanwhile, so mail waits without its attempts being used up, and a server that swallows packets
    costs a worker one time-out in a while and not all of its time.
    """

    def __init__(self, *, connect: Connect = get_connection, pause: float = 30.0) -> None:
        self._connect = connect
        self._pause = pause
        self._closed_until = 0.0
        self._connection: BaseEmailBackend | None = None
        self._sent: list[tuple[Notification, datetime]] = []
        self._noted = 0.0

    @durable
    def send_batch(self) -> int:
        """Send up to AT_ONCE of the mails that are most overdue, for ten seconds at most.

        Returns how many it tried; none if nothing is due, or nothing can be sent now.
        """
        self._note_sent()
        if time.monotonic() < self._closed_until:
            return 0
        # Nothing is claimed that cannot be sent, and no server is bothered for nothing.
        if self._connection is None and not (due(Notification).exists() and self._reach()):
            return 0
        waiting = deque(
            claim_due(Notification, lease=LEASE, limit=AT_ONCE, changes="state = 'sending'")
        )
        tried, until = 0, time.monotonic() + _SENT_FOR
        try:
            while waiting and self._reach():
                self._deliver(waiting.popleft())
                tried += 1
                now = time.monotonic()
                if now - self._noted >= _NOTED_EVERY:
                    self._note_sent()
                if now >= until:
                    break
        finally:
            try:
                self._note_sent()
            finally:
                _give_back(waiting)
        return tried

    def close(self) -> None:
        """Let go of the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except OSError as error:
                log.info("mail_connection_lost", error=repr(error))

    def _reach(self) -> bool:
        if self._connection is not None:
            return True
        connection = self._connect()
        try:
            connection.open()
        except OSError as error:
            self._closed_until = time.monotonic() + self._pause
            log.warning("mail_server_unreachable", error=repr(error))
            return False
        self._connection = connection
        return True

    def _deliver(self, notification: Notification) -> None:
        """Send it; what became of it is noted at once, or soon with others where it was sent."""
        if notification.attempts > MAX_ATTEMPTS:
            # Whoever tried last died of it.
            _settle(notification, state=DeliveryState.DEAD, next_attempt_at=None)
            return
        try:
            self._send(notification)
        except (OSError, ValueError) as error:  # SMTPException is an OSError
            self.close()
            _failed(notification, error)
        else:
            self._sent.append((notification, clock.now()))

    def _note_sent(self) -> None:
        """Note what was sent; what cannot be noted now is kept for the next time."""
        self._noted = time.monotonic()
        if self._sent:
            _settle_sent(self._sent)
            self._sent = []

    def _send(self, notification: Notification) -> None:
        mail = composed(notification)
        mail.connection = self._connection
        if not mail.send():
            raise ValueError("The mail has no recipient.")


def _failed(notification: Notification, error: Exception) -> None:
    final = is_final(error) or notification.attempts >= MAX_ATTEMPTS
    log.warning(
        "mail_failed",
        notification_id=str(notification.id),
        attempts=notification.attempts,
        final=final,
        error=repr(error),
    )
    pause = backoff(notification.attempts, first=_FIRST_PAUSE, longest=_LONGEST_PAUSE)
    _settle(
        notification,
        state=DeliveryState.DEAD if final else DeliveryState.FAILED,
        next_attempt_at=None if final else Now() + pause,
        last_error=repr(error),
    )


@transaction
def _give_back(claimed: Iterable[Notification]) -> None:
    """Let go of mails that were claimed and not tried; for the next worker they are as before."""
    update_rows(
        Notification,
        ("id", "fencing_token", "state", "attempts", "lease_until"),
        ((row.pk, row.fencing_token, row.state, row.attempts - 1, None) for row in claimed),
        matching=["fencing_token"],
    )


@transaction
def _settle_sent(sent: Sequence[tuple[Notification, datetime]]) -> None:
    """Give up the leases on what was sent, unless they are another's by now, in one statement."""
    update_rows(
        Notification,
        (
            *("id", "fencing_token", "state", "sent_at"),
            *("next_attempt_at", "lease_until", "last_error"),
        ),
        (
            (row.pk, row.fencing_token, DeliveryState.SENT.value, at, None, None, "")
            for row, at in sent
        ),
        matching=["fencing_token"],
    )


def _settle(notification: Notification, **values: Any) -> None:
    """Give up the lease, unless it is another's by now, and write `values`."""
    Notification.objects.filter(
        pk=notification.pk, fencing_token=notification.fencing_token
    ).update(lease_until=None, **values)
