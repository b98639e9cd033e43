"""Events that a consumer failed to handle."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection, connections
from django.db.models.functions import Now

from oms.core import clock
from oms.core.ids import new_id
from oms.events.dead_letters import retry_failed_events
from oms.events.models import DeadLetter
from oms.events.relay import Consumer, RecordedEvent
from oms.events.tests.consumers import consumer, deliver, publish_registrations, record_handled
from oms.queue.leases import retry_policy
from oms.testing.factories import make_customer
from oms.testing.threads import at_once
from oms.users.models import User

MAX_ATTEMPTS = retry_policy(DeadLetter).attempts

pytestmark = pytest.mark.django_db(transaction=True)


class Poison:
    """A handler that fails for one user, after it has written, until it is cured."""

    def __init__(self, user_id: UUID) -> None:
        self.user_id = user_id
        self.cured = False

    def __call__(self, events: Sequence[RecordedEvent]) -> None:
        record_handled(events)
        ids = {event.fact.object_id for event in events}
        if self.user_id in ids and not self.cured:
            raise ValueError("cannot handle this")


def make_due() -> None:
    DeadLetter.objects.update(next_attempt_at=Now() - timedelta(seconds=1))


def test_a_failed_event_does_not_stop_the_others(handled: Any) -> None:
    users = [new_id() for _ in range(3)]
    publish_registrations(*users)

    deliver(consumer(Poison(users[1])))

    assert handled() == [users[0], users[2]]
    failed = DeadLetter.objects.get()
    assert failed.event.object_id == users[1]
    assert (failed.consumer, failed.attempts, failed.is_dead) == ("tests", 1, False)
    assert "cannot handle this" in failed.last_error
    assert deliver(consumer(Poison(users[1]))) == 0


def test_a_failed_event_is_retried_when_it_is_due(handled: Any) -> None:
    user_id = new_id()
    publish_registrations(user_id)
    poison = Poison(user_id)
    deliver(consumer(poison))

    poison.cured = True
    assert retry_failed_events(consumer(poison)) == 0  # not due yet
    make_due()
    assert retry_failed_events(Consumer(name="others", event_types=(), handle=poison)) == 0
    assert retry_failed_events(consumer(poison)) == 1

    assert handled() == [user_id]
    assert not DeadLetter.objects.exists()
    assert retry_failed_events(consumer(poison)) == 0


def test_a_failed_event_waits_longer_each_time_and_becomes_a_dead_letter(
    handled: Any,
) -> None:
    user_id = new_id()
    publish_registrations(user_id)
    poison = Poison(user_id)
    deliver(consumer(poison))
    pauses = []
    for _ in range(MAX_ATTEMPTS - 2):
        make_due()
        retry_failed_events(consumer(poison))
        failed = DeadLetter.objects.annotate(now=Now()).get()
        assert failed.next_attempt_at is not None
        pauses.append(failed.next_attempt_at - failed.now)
    make_due()
    retry_failed_events(consumer(poison))

    assert pauses == sorted(pauses)
    assert pauses[0] > timedelta(seconds=7)
    dead = DeadLetter.objects.get()
    assert (dead.attempts, dead.is_dead) == (MAX_ATTEMPTS, True)
    assert retry_failed_events(consumer(poison)) == 0
    assert handled() == []


def test_pauses_use_the_clock_of_the_database(
    handled: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    behind = clock.now() - timedelta(hours=1)
    monkeypatch.setattr(clock, "now", lambda: behind)
    user_id = new_id()
    publish_registrations(user_id)
    poison = Poison(user_id)

    deliver(consumer(poison))
    assert retry_failed_events(consumer(poison)) == 0
    make_due()
    retry_failed_events(consumer(poison))

    failed = DeadLetter.objects.annotate(now=Now()).get()
    assert failed.attempts == 2
    assert failed.next_attempt_at is not None
    assert timedelta(seconds=7) < failed.next_attempt_at - failed.now <= timedelta(seconds=10)


def test_two_retries_at_once_handle_a_failed_event_once(handled: Any) -> None:
    user_id = new_id()
    publish_registrations(user_id)
    poison = Poison(user_id)
    deliver(consumer(poison))
    poison.cured = True
    make_due()

    counts = at_once(*[lambda: retry_failed_events(consumer(poison))] * 3)

    assert sorted(counts) == [0, 0, 1]
    assert handled() == [user_id]


def test_an_event_that_cannot_be_decoded_is_a_failed_event(handled: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO events_event (id, type, object_type, object_id, data, actor_kind,"
            " actor_label, request_id, occurred_at) VALUES (%s, 'user.registered', 'user', %s,"
            " '{}', 'system', 'tests', '', now())",
            [str(new_id()), str(new_id())],
        )
    user_id = new_id()
    publish_registrations(user_id)

    deliver(consumer())

    assert handled() == [user_id]
    assert DeadLetter.objects.count() == 1


def test_a_retry_that_waits_for_a_locked_row_stops_no_other(handled: Any) -> None:
    customer, other = make_customer(), new_id()
    publish_registrations(customer.id, other)
    locking = connections.create_connection("default")
    locking.set_autocommit(False)

    def lock_user(events: Sequence[RecordedEvent]) -> None:
        ids = [event.fact.object_id for event in events]
        list(User.objects.select_for_update().filter(pk__in=ids))
        record_handled(events)

    deliver(consumer(failing))
    make_due()
    try:
        with locking.cursor() as cursor:
            cursor.execute("SELECT FROM users_user WHERE id = %s FOR UPDATE", [customer.id])
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '50ms'")

        assert retry_failed_events(consumer(lock_user)) == 1
    finally:
        locking.rollback()
        locking.close()
        with connection.cursor() as cursor:
            cursor.execute("RESET lock_timeout")

    assert handled() == [other]
    failed = DeadLetter.objects.get()
    assert (failed.event.object_id, failed.attempts) == (customer.id, 2)


def failing(events: Sequence[RecordedEvent]) -> None:
    raise ValueError("cannot handle this")
