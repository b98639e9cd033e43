"""Who hears what: the one table of consumers and the events that they hear."""

from __future__ import annotations

import time
from datetime import timedelta

from celery import shared_task
from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore

from notifications.operations.purging import purge_notifications
from notifications.operations.subscriptions import EVENT_TYPES as TOLD_TO_PEOPLE
from notifications.operations.subscriptions import queue_notifications
from oms.core import clock
from oms.events.partitions import maintain_partitions
from oms.events.publishing import RELAY_TASK
from oms.events.relay import Consumer, deliver, retry_failed_events
from oms.http.operations.idempotency import purge_idempotency_records
from oms.queue.lag import report_queue_lags
from oms.queue.leases import process_due_work
from oms.queue.wakeups import is_awake
from oms.users.operations.sessions import purge_sessions
from orders.operations.paying import EVENT_TYPES as NEWS_OF_PAYMENTS
from orders.operations.paying import apply_payment_events
from payments.operations.purging import purge_provider_messages

CONSUMERS = (
    # Orders follow their payments; first, because people wait for it.
    Consumer(name="orders", event_types=NEWS_OF_PAYMENTS, handle=apply_payment_events),
    # Customers and staff are told.
    Consumer(name="notifications", event_types=TOLD_TO_PEOPLE, handle=queue_notifications),
)
# How long, in seconds, news gathers while more is coming: many pieces cost little more than one.
_GATHERING = 0.1
# For how long, in seconds, a consumer that is far behind goes on before it is the next one's turn.
# Shorter than a worker's hold on the messages (oms.queue.wakeups), and than a task may live.
_TURN = 0.8
# For how long, in seconds, a run of the purge goes on.
_PURGING = 30.0


@shared_task(name=RELAY_TASK)
def relay_events() -> None:
    """Hand each consumer what it has not heard yet, and what it failed to take before.

    Goes on for as long as there is news, but for a quarter of a minute at most. One worker is
    enough for that, so another one that is sent meanwhile leaves it alone.
    """
    if is_awake(RELAY_TASK):
        return
    process_due_work(RELAY_TASK, _deliver_to_all, seconds=15, pause=_GATHERING)
    for consumer in CONSUMERS:
        retry_failed_events(consumer)


def _deliver_to_all() -> int:
    return sum(deliver(consumer, deadline=time.monotonic() + _TURN) for consumer in CONSUMERS)


@shared_task(name="oms.report_lag")
def report_lag() -> None:
    """Write to the log how far behind the background is."""
    report_queue_lags()


@shared_task(name="oms.purge")
def purge() -> None:
    """Delete what has no use any more, for at most half a minute; the next run goes on."""
    now, deadline = clock.now(), time.monotonic() + _PURGING
    purge_idempotency_records(now=now, deadline=deadline)
    purge_sessions(before=now - timedelta(days=1), deadline=deadline)
    if days := settings.PROVIDER_MESSAGE_RETENTION_DAYS:
        purge_provider_messages(before=now - timedelta(days=days), deadline=deadline)
    if days := settings.NOTIFICATION_RETENTION_DAYS:
        purge_notifications(before=now - timedelta(days=days), deadline=deadline)
    # Sessions of the back office, which are few.
    SessionStore.clear_expired()


@shared_task(name="oms.tend_event_log")
def tend_event_log() -> None:
    """Make the partitions of this month of the event log and of the next ones.

    Never retried by Celery: the schedule comes back long before a month begins.
    """
    maintain_partitions(now=clock.now())
