"""The table of consumers and the events that they subscribe to; tasks that serve all apps."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import structlog
from celery import shared_task
from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore

from inventory.operations.stock_alerts import purge_stock_alerts
from notifications.operations.purging import purge_notifications
from notifications.operations.subscriptions import EVENT_TYPES as NOTIFIED_EVENTS
from notifications.operations.subscriptions import queue_notifications
from notifications.queries import seconds_mail_overdue
from oms.core import clock
from oms.events.dead_letters import retry_failed_events
from oms.events.partitions import maintain_partitions
from oms.events.publishing import RELAY_TASK
from oms.events.relay import Consumer, consumer_lags, deliver
from oms.exceptions.operations.dead_events import raise_dead_event, settle_dead_event
from oms.http.operations.idempotency import purge_idempotency_records
from oms.queue.lag import report_queue_lags
from oms.queue.leases import process_due_work
from oms.queue.wakeups import wakeups_held
from oms.streams.tickets import purge_tickets
from oms.users.operations.known_addresses import purge_known_addresses
from oms.users.operations.sessions import purge_sessions
from orders.operations.allocating import EVENT_TYPES as ALLOCATION_EVENTS
from orders.operations.allocating import apply_allocation_events
from orders.operations.paying import EVENT_TYPES as PAYMENT_EVENTS
from orders.operations.paying import apply_payment_events
from payments.operations.purging import purge_provider_messages
from payments.queries import seconds_overdue

log = structlog.get_logger(__name__)

CONSUMERS = (
    # Orders follow their payments; first, because people wait for it.
    Consumer(name="orders", event_types=PAYMENT_EVENTS, handle=apply_payment_events),
    Consumer(name="allocation", event_types=ALLOCATION_EVENTS, handle=apply_allocation_events),
    Consumer(name="notifications", event_types=NOTIFIED_EVENTS, handle=queue_notifications),
)
# How long, in seconds, events gather while more are coming: many cost little more than one.
_GATHERING = 0.1
# The seconds that a consumer with a backlog may run before the next one.
# Shorter than a worker holds wake-ups back (oms.queue.wakeups), and than a task may run.
_SHARE = 0.8
# The longest run of the purge in seconds.
_PURGING = 20.0


@shared_task(name=RELAY_TASK)
def relay_events() -> None:
    """Deliver new events to each consumer, and retry those that failed.

    Continues while there are events, for at most 10 seconds. One worker is enough, so any other
    that is woken returns at once.
    """
    if wakeups_held(RELAY_TASK):
        return
    process_due_work(RELAY_TASK, _deliver_to_all, seconds=10, pause=_GATHERING)
    for consumer in CONSUMERS:
        with _isolated(consumer.name):
            retry_failed_events(
                consumer,
                deadline=time.monotonic() + _SHARE,
                on_given_up=raise_dead_event,
                on_handled=settle_dead_event,
            )


def _deliver_to_all() -> int:
    handled = 0
    for consumer in CONSUMERS:
        with _isolated(consumer.name):
            handled += deliver(consumer, deadline=time.monotonic() + _SHARE)
    return handled


@contextmanager
def _isolated(work: str) -> Iterator[None]:
    """Log what fails inside, so that it does not stop the rest; the next run tries it again."""
    try:
        yield
    except Exception:
        log.exception("background_work_failed", work=work)


def queue_lags() -> dict[str, float]:
    """How many seconds the oldest work of each kind has been waiting; 0 if none is.

    The kinds are "payments", "refunds", "mail", and "events <consumer>" for each consumer.
    """
    return {
        **{f"events {consumer}": seconds for consumer, seconds in consumer_lags().items()},
        **seconds_overdue(),
        "mail": seconds_mail_overdue(),
    }


@shared_task(name="oms.report_lag")
def report_lag() -> None:
    """Log how far behind the background is, and set the metrics."""
    report_queue_lags(queue_lags())


@shared_task(name="oms.purge")
def purge() -> None:
    """Delete expired rows, for at most 20 seconds; the next run continues."""
    now, deadline = clock.now(), time.monotonic() + _PURGING
    with _isolated("idempotency records"):
        purge_idempotency_records(now=now, deadline=deadline)
    with _isolated("sessions"):
        purge_sessions(before=now - timedelta(days=1), deadline=deadline)
    with _isolated("tickets"):
        purge_tickets(before=now, deadline=deadline)
    with _isolated("known addresses"):
        purge_known_addresses(now=now, deadline=deadline)
    if days := settings.PROVIDER_MESSAGE_RETENTION_DAYS:
        with _isolated("provider messages"):
            purge_provider_messages(before=now - timedelta(days=days), deadline=deadline)
    if days := settings.NOTIFICATION_RETENTION_DAYS:
        with _isolated("notifications"):
            purge_notifications(before=now - timedelta(days=days), deadline=deadline)
    if days := settings.STOCK_ALERT_RETENTION_DAYS:
        with _isolated("stock alerts"):
            purge_stock_alerts(before=now - timedelta(days=days), deadline=deadline)
    with _isolated("back office sessions"):  # which are few
        SessionStore.clear_expired()


@shared_task(name="oms.tend_event_log")
def tend_event_log() -> None:
    """Create the partitions of this month of the event log and of the next ones.

    Never retried by Celery: the schedule runs it again long before a month begins.
    """
    maintain_partitions(now=clock.now())
