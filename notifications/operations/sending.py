"""Sending due mail: claim it under a lease, send it, record the outcome.

The claim is committed before the mail server is contacted and the outcome after it. If a worker
dies in between, the mail may have been sent; it is sent again, with the same Message-ID, when the
lease expires. Exactly-once delivery is impossible.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from smtplib import SMTP
from socket import SHUT_RDWR, socket

import structlog
from django.core.mail import get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.db.models import Q

from notifications.mail import compose_mail, is_connection_failure, is_permanent_failure
from notifications.models import DeliveryState, Notification
from oms.core import clock
from oms.core.actor import system
from oms.db.bulk_writes import update_rows
from oms.db.transactions import durable, transaction
from oms.exceptions.kinds import ExceptionKind
from oms.exceptions.operations.recording import (
    NewException,
    raise_exceptions,
    settle_exceptions,
    subject_of,
)
from oms.queue.circuit_breaker import CircuitBreaker
from oms.queue.leases import claim_due, give_up, is_due, reschedule

log = structlog.get_logger(__name__)

# How many mails a worker claims at once.
BATCH_SIZE = 100
# A batch that takes longer is cut off: before its lease ends, and before its task must.
_MAX_SECONDS = 12.0


class MailSender:
    """Sends mail over one connection, kept open until it breaks or `close` is called.

    While the mail server cannot be reached, or breaks off before it has taken one mail, nothing is
    claimed for `server.pause` seconds, so waiting mail uses up no attempts. Sent mails are recorded
    together every `record_interval` seconds, which bounds how many are sent twice if the worker
    dies. A batch begins no mail after `batch_seconds`, because the mail server may be slow.
    """

    record_interval = 0.25
    batch_seconds = 4.0
    max_seconds = _MAX_SECONDS

    def __init__(self, *, connect: Callable[[], BaseEmailBackend] = get_connection) -> None:
        self.server = CircuitBreaker(failures=1, pause=10.0)
        self._connect = connect
        self._connection: BaseEmailBackend | None = None
        self._has_sent = False
        self._sent: list[tuple[Notification, datetime]] = []
        self._recorded_at = 0.0

    @durable
    def send_batch(self) -> int:
        """Send up to BATCH_SIZE of the due mails.

        Returns how many were attempted; 0 if nothing is due or the mail server is unavailable.
        """
        self._record_sent()
        # Claim nothing that cannot be sent, and connect only if there is mail.
        if self._connection is None and not (is_due(Notification) and self._open()):
            return 0
        claimed = claim_due(
            Notification, limit=BATCH_SIZE, changes="state = 'sending'", give_up=_give_up
        )
        waiting = deque(claimed)
        attempted, end = 0, time.monotonic() + self.batch_seconds
        try:
            with _cut_off(self._connection, seconds=self.max_seconds):
                while waiting and self._connection is not None:
                    if waiting[0].state == DeliveryState.SENDING:  # Its worker was killed.
                        self._record_sent()
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
        """Whether a connection could be opened."""
        if not self.server.allow(1):
            return False
        connection = self._connect()
        try:
            connection.open()
        except OSError as error:
            self.server.record(is_answered=False)
            log.warning("mail_server_unreachable", error=repr(error))
            return False
        self._connection, self._has_sent = connection, False
        return True

    def _deliver(self, notification: Notification) -> None:
        """Send it; failures are recorded at once, successes together with others."""
        try:
            mail = compose_mail(notification)
            mail.connection = self._connection
            if not mail.send():
                raise ValueError("The mail has no recipient.")
        except Exception as error:  # Python's e-mail package raises any for odd addresses.
            if is_connection_failure(error):
                self.close()
                if not self._has_sent:
                    self.server.record(is_answered=False)
            _handle_error(notification, error)
        else:
            self._has_sent = True
            self.server.record(is_answered=True)
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
    # Only what has failed before can have been given up.
    subjects = [_subject(row) for row, _ in sent if row.last_error]
    if subjects:
        about = Q(subject__in=subjects)
        settle_exceptions([ExceptionKind.DEAD_MAIL], about=about, actor=system("mail"))


def _subject(notification: Notification) -> str:
    return subject_of("notification", notification.id)


@transaction
def _give_up(notification: Notification, *, error: str) -> bool:
    if not give_up(notification, error=error):
        return False
    _raise_dead(notification, error=error)
    return True


@transaction
def _reschedule(notification: Notification, *, error: str) -> None:
    if reschedule(notification, error=error):
        _raise_dead(notification, error=error)


def _raise_dead(notification: Notification, *, error: str) -> None:
    new = NewException(
        kind=ExceptionKind.DEAD_MAIL,
        subject=_subject(notification),
        cause=f"“{notification.subject}” to {notification.email} was not delivered: {error}",
        order_id=notification.order_id,
    )
    raise_exceptions([new], actor=system("mail"))


def _handle_error(notification: Notification, error: Exception) -> None:
    log.warning(
        "mail_failed",
        notification_id=str(notification.id),
        attempts=notification.attempts,
        error=repr(error),
    )
    outcome = _give_up if is_permanent_failure(error) else _reschedule
    outcome(notification, error=repr(error))


@transaction
def _release(claimed: Iterable[Notification]) -> None:
    """Release claimed mails that were not attempted, without counting the attempt."""
    update_rows(
        Notification,
        ("id", "fencing_token", "state", "attempts", "lease_until"),
        ((row.pk, row.fencing_token, row.state, row.attempts - 1, None) for row in claimed),
        matching=["fencing_token"],
    )


@contextmanager
def _cut_off(connection: BaseEmailBackend | None, *, seconds: float) -> Iterator[None]:
    """Break the connection to a mail server if the block takes longer than `seconds`.

    Its timeout is one for each read and write, of which a mail takes many.
    """
    server = getattr(connection, "connection", None)
    if not isinstance(server, SMTP) or server.sock is None:
        yield
        return
    timer = threading.Timer(seconds, _shut_down, [server.sock])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _shut_down(connection: socket) -> None:
    with suppress(OSError):  # it was closed just before
        connection.shutdown(SHUT_RDWR)
