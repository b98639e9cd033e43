"""Sending due mail: claim it under a lease, send it, record the outcome.

The claim is committed before the mail server is contacted and the outcome after it. If a worker
dies in between, the mail may have been sent; it is sent again, with the same Message-ID, when the
lease expires. Exactly-once delivery is impossible.
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

from notifications.mail import compose_mail, is_permanent_failure
from notifications.models import DeliveryState, Notification
from oms.core import clock
from oms.db.bulk_writes import update_rows
from oms.db.transactions import durable, transaction
from oms.queue.leases import backoff, claim_due, due

log = structlog.get_logger(__name__)

# How many mails a worker claims at once.
BATCH_SIZE = 100
# Longer than a task may run, so an expired lease belongs to a dead worker.
LEASE = timedelta(seconds=90)
# The pauses between them add up to two hours.
MAX_ATTEMPTS = 8
_FIRST_PAUSE, _LONGEST_PAUSE = 60, 3600


class MailSender:
    """Sends mail over one connection, kept open until it breaks or `close` is called.

    After a failed connection attempt nothing is claimed for `pause` seconds, so waiting mail uses
    up no attempts, and a server that drops packets costs one timeout per pause. Sent mails are
    recorded together every `record_interval` seconds, which bounds how many are sent twice if the
    worker dies. A batch stops after `batch_seconds`: a task may run for a minute, and the mail
    server may be slow.
    """

    pause = 30.0
    record_interval = 0.25
    batch_seconds = 10.0

    def __init__(self, *, connect: Callable[[], BaseEmailBackend] = get_connection) -> None:
        self._connect = connect
        self._next_connect = 0.0
        self._connection: BaseEmailBackend | None = None
        self._sent: list[tuple[Notification, datetime]] = []
        self._recorded_at = 0.0

    @durable
    def send_batch(self) -> int:
        """Send up to BATCH_SIZE of the most overdue mails.

        Returns how many were attempted; 0 if nothing is due or the mail server is unavailable.
        """
        self._record_sent()
        if time.monotonic() < self._next_connect:
            return 0
        # Claim nothing that cannot be sent, and connect only if there is mail.
        if self._connection is None and not (due(Notification).exists() and self._open()):
            return 0
        waiting = deque(
            claim_due(Notification, lease=LEASE, limit=BATCH_SIZE, changes="state = 'sending'")
        )
        attempted, end = 0, time.monotonic() + self.batch_seconds
        try:
            while waiting and self._open():
                self._deliver(waiting.popleft())
                attempted += 1
                now = time.monotonic()
                if now - self._recorded_at >= self.record_interval:
                    self._record_sent()
                if now >= end:
                    break
        finally:
            try:
                self._record_sent()
            finally:
                _release(waiting)
        return attempted

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except OSError as error:
                log.info("mail_connection_lost", error=repr(error))

    def _open(self) -> bool:
        """Whether there is a connection; opens one if needed."""
        if self._connection is not None:
            return True
        connection = self._connect()
        try:
            connection.open()
        except OSError as error:
            self._next_connect = time.monotonic() + self.pause
            log.warning("mail_server_unreachable", error=repr(error))
            return False
        self._connection = connection
        return True

    def _deliver(self, notification: Notification) -> None:
        """Send it; failures are recorded at once, successes together with others."""
        if notification.attempts > MAX_ATTEMPTS:  # The worker of the last attempt died.
            _record_failure(notification, state=DeliveryState.DEAD, next_attempt_at=None)
            return
        try:
            mail = compose_mail(notification)
            mail.connection = self._connection
            if not mail.send():
                raise ValueError("The mail has no recipient.")
        except Exception as error:  # Python's e-mail package raises any for odd addresses.
            self.close()
            _handle_error(notification, error)
        else:
            self._sent.append((notification, clock.now()))

    def _record_sent(self) -> None:
        """Record the sent mails; if that fails, the next call repeats it."""
        self._recorded_at = time.monotonic()
        if self._sent:
            _record_sent(self._sent)
            self._sent = []


@transaction
def _record_sent(sent: Sequence[tuple[Notification, datetime]]) -> None:
    """Mark as sent, with one statement, those that no other worker has claimed since."""
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


def _handle_error(notification: Notification, error: Exception) -> None:
    final = is_permanent_failure(error) or notification.attempts >= MAX_ATTEMPTS
    log.warning(
        "mail_failed",
        notification_id=str(notification.id),
        attempts=notification.attempts,
        final=final,
        error=repr(error),
    )
    pause = backoff(notification.attempts, first=_FIRST_PAUSE, longest=_LONGEST_PAUSE)
    _record_failure(
        notification,
        state=DeliveryState.DEAD if final else DeliveryState.FAILED,
        next_attempt_at=None if final else Now() + pause,
        last_error=repr(error),
    )


@transaction
def _release(claimed: Iterable[Notification]) -> None:
    """Release claimed mails that were not attempted, without counting the attempt."""
    update_rows(
        Notification,
        ("id", "fencing_token", "state", "attempts", "lease_until"),
        ((row.pk, row.fencing_token, row.state, row.attempts - 1, None) for row in claimed),
        matching=["fencing_token"],
    )


def _record_failure(notification: Notification, **values: Any) -> None:
    """Write `values` and end the lease, unless another worker has claimed it since."""
    Notification.objects.filter(
        pk=notification.pk, fencing_token=notification.fencing_token
    ).update(lease_until=None, **values)
