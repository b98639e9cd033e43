"""Events that a consumer could not take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.db.models.functions import Now

from oms.core import clock
from oms.core.ids import new_id
from oms.db.transactions import DatabaseBusy
from oms.events.models import DeadLetter
from oms.events.relay import MAX_ATTEMPTS, Consumer, RecordedEvent, retry_failed_events
from oms.events.tests.consumers import consumer, deliver, note, tell
from oms.testing.threads import at_once

pytestmark = pytest.mark.django_db(transaction=True)


class Poison:
    """A handler that fails for one user, after it has written, until it is cured."""

    def __init__(self, user_id: UUID) -> None:
        self.user_id = user_id
        self.cured = False

    def __call__(self, events: Sequence[RecordedEvent]) -> None:
        note(events)
        ids = {event.fact.object_id for event in events}
        if self.user_id in ids and not self.cured:
            raise ValueError("I cannot take this.")


def make_due() -> None:
    DeadLetter.objects.update(next_attempt_at=Now() - timedelta(seconds=1))


def test_a_poison_event_is_parked_and_the_others_are_heard(heard: Any) -> None:
    users = [new_id() for _ in range(3)]
    tell(*users)

    deliver(consumer(Poison(users[1])))

    assert heard() == [users[0], users[2]]
    parked = DeadLetter.objects.get()
    assert parked.event.object_id == users[1]
    assert (parked.consumer, parked.attempts, parked.is_dead) == ("tests", 1, False)
    assert "I cannot take this." in parked.last_error
    assert deliver(consumer(Poison(users[1]))) == 0


def test_a_parked_event_is_tried_again_when_it_is_due(heard: Any) -> None:
    user_id = new_id()
    tell(user_id)
    poison = Poison(user_id)
    deliver(consumer(poison))

    poison.cured = True
    assert retry_failed_events(consumer(poison)) == 0  # not due yet
    make_due()
    assert retry_failed_events(Consumer(name="others", event_types=(), handle=poison)) == 0
    assert retry_failed_events(consumer(poison)) == 1

    assert heard() == [user_id]
    assert not DeadLetter.objects.exists()
    assert retry_failed_events(consumer(poison)) == 0


def test_a_parked_event_waits_longer_each_time_and_is_dead_in_the_end(heard: Any) -> None:
    user_id = new_id()
    tell(user_id)
    poison = Poison(user_id)
    deliver(consumer(poison))
    pauses = []
    for _ in range(MAX_ATTEMPTS - 2):
        make_due()
        retry_failed_events(consumer(poison))
        parked = DeadLetter.objects.annotate(now=Now()).get()
        assert parked.next_attempt_at is not None
        pauses.append(parked.next_attempt_at - parked.now)
    make_due()
    retry_failed_events(consumer(poison))

    assert pauses == sorted(pauses)
    assert pauses[0] > timedelta(seconds=5)
    dead = DeadLetter.objects.get()
    assert (dead.attempts, dead.is_dead) == (MAX_ATTEMPTS, True)
    assert retry_failed_events(consumer(poison)) == 0
    assert heard() == []


def test_pauses_go_by_the_clock_of_the_database(
    heard: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    behind = clock.now() - timedelta(hours=1)
    monkeypatch.setattr(clock, "now", lambda: behind)
    user_id = new_id()
    tell(user_id)
    poison = Poison(user_id)

    deliver(consumer(poison))
    assert retry_failed_events(consumer(poison)) == 0
    make_due()
    retry_failed_events(consumer(poison))

    parked = DeadLetter.objects.annotate(now=Now()).get()
    assert parked.attempts == 2
    assert parked.next_attempt_at is not None
    assert timedelta(seconds=5) < parked.next_attempt_at - parked.now <= timedelta(seconds=10)


def test_two_retries_at_once_take_a_parked_event_once(heard: Any) -> None:
    user_id = new_id()
    tell(user_id)
    poison = Poison(user_id)
    deliver(consumer(poison))
    poison.cured = True
    make_due()

    counts = at_once(*[lambda: retry_failed_events(consumer(poison))] * 3)

    assert sorted(counts) == [0, 0, 1]
    assert heard() == [user_id]


def test_an_event_that_nobody_can_read_any_more_is_parked(heard: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO events_event (id, type, object_type, object_id, data, actor_kind,"
            " actor_label, request_id, occurred_at) VALUES (%s, 'user.registered', 'user', %s,"
            " '{}', 'system', 'tests', '', now())",
            [str(new_id()), str(new_id())],
        )
    user_id = new_id()
    tell(user_id)

    deliver(consumer())

    assert heard() == [user_id]
    assert DeadLetter.objects.count() == 1


def test_a_retry_that_meets_locked_rows_stops_no_other(heard: Any) -> None:
    users = [new_id() for _ in range(2)]
    tell(*users)
    deliver(consumer(failing_for(*users, error=ValueError("x"))))
    make_due()

    assert retry_failed_events(consumer(failing_for(users[0], error=DatabaseBusy()))) == 1

    assert heard() == [users[1]]
    assert DeadLetter.objects.get().attempts == 2


def failing_for(*user_ids: UUID, error: Exception) -> Callable[[Sequence[RecordedEvent]], None]:
    def handle(events: Sequence[RecordedEvent]) -> None:
        if {event.fact.object_id for event in events} & set(user_ids):
            raise error
        note(events)

    return handle
