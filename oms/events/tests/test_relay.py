"""The relay: each committed event takes effect once at every consumer, in order and with no gap."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.db import OperationalError, connection, connections, transaction

from oms.core.actor import Actor, ActorKind, system
from oms.core.errors import Unavailable
from oms.core.ids import new_id
from oms.events import relay
from oms.events.models import ConsumerOffset, DeadLetter, Event
from oms.events.publishing import publish
from oms.events.relay import Consumer, RecordedEvent
from oms.events.tests.consumers import consumer, deliver, publish_registrations, record_handled
from oms.testing.event_log import wait_until_readable
from oms.testing.threads import at_once
from oms.users.events import UserLoggedIn, UserRegistered

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def another_connection() -> Any:
    """A second connection, whose transaction is open until the end of the block."""
    other = connections.create_connection("default")
    other.set_autocommit(False)
    try:
        yield other
    finally:
        other.rollback()
        other.close()


def insert_by(other: Any, user_id: UUID, *, number: int | None = None) -> None:
    """Insert an event by the connection `other`, without committing it.

    `number` is that of the transaction, by default its own.
    """
    with other.cursor() as cursor:
        cursor.execute(
            "INSERT INTO events_event (id, type, object_type, object_id, data, actor_kind,"
            " actor_label, request_id, occurred_at, transaction) VALUES (%s, 'user.registered',"
            " 'user', %s, jsonb_build_object('user_id', %s::text, 'email', 'x@example.com'),"
            " 'system', 'tests', '', now(), coalesce(%s::text::xid8, pg_current_xact_id()))",
            [str(new_id()), str(user_id), str(user_id), number and str(number)],
        )


def test_events_are_handled_once_and_in_their_order(handled: Any) -> None:
    users = [new_id() for _ in range(3)]
    publish_registrations(users[0])
    publish_registrations(users[1], users[2])

    assert deliver(consumer()) == 3
    assert deliver(consumer()) == 0
    assert handled() == users


def test_the_order_of_transactions_is_that_of_numbers_and_not_of_text(handled: Any) -> None:
    """As text, 10 comes before 9: the offset would be that of an event in the middle."""
    users = [new_id() for _ in range(4)]
    for user, number in zip(users, (8, 9, 10, 11), strict=True):
        insert_by(connection, user, number=number)

    assert deliver(consumer()) == 4
    assert deliver(consumer()) == 0
    assert handled() == users


def test_a_backlog_of_several_batches_is_handled_completely(
    handled: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "BATCH", 2)
    users = [new_id() for _ in range(5)]
    publish_registrations(*users)

    assert deliver(consumer()) == 5
    assert handled() == users


def test_consumers_get_the_events_they_subscribe_to_with_their_actors(handled: Any) -> None:
    got: list[RecordedEvent] = []
    user_id, actor_id = new_id(), new_id()
    actor = Actor(
        kind=ActorKind.STAFF, id=actor_id, label="sam@example.com", request_id="r", ip="::1"
    )
    with transaction.atomic():
        publish(
            UserLoggedIn(user_id=user_id, session_id=new_id()),
            UserRegistered(user_id=user_id, email="c@example.com"),
            actor=actor,
        )

    deliver(consumer(got.extend))

    [event] = got
    assert event.fact == UserRegistered(user_id=user_id, email="c@example.com")
    assert event.actor == actor
    assert event.id == Event.objects.get(type="user.registered").id


def test_each_consumer_has_an_offset_of_its_own(handled: Any) -> None:
    user_id = new_id()
    publish_registrations(user_id)
    deliver(consumer())

    deliver(Consumer(name="others", event_types=(UserRegistered,), handle=record_handled))

    assert handled() == [user_id, user_id]


def test_what_is_rolled_back_is_never_delivered(handled: Any) -> None:
    with transaction.atomic():
        publish(UserRegistered(user_id=new_id(), email="x"), actor=system("tests"))
        transaction.set_rollback(True)
    kept = new_id()
    publish_registrations(kept)

    deliver(consumer())

    assert handled() == [kept]


def test_publishing_needs_a_transaction(handled: Any) -> None:
    with pytest.raises(RuntimeError, match="must run inside a transaction"):
        publish(UserRegistered(user_id=new_id(), email="x"), actor=system("tests"))


def test_an_event_that_commits_late_is_not_skipped(handled: Any) -> None:
    early, late, later = new_id(), new_id(), new_id()
    publish_registrations(early)
    wait_until_readable()
    with another_connection() as other:
        insert_by(other, late)  # draws the lower position and commits after the higher one
        publish_registrations(later)

        relay.deliver(consumer())
        assert handled() == [early]

        other.commit()
    deliver(consumer())

    assert handled() == [early, late, later]
    assert Event.objects.get(object_id=late).position < Event.objects.get(object_id=later).position


def test_a_transaction_in_a_neighbouring_database_holds_the_relay_up(handled: Any) -> None:
    """As documented in docs/event-log.md: numbers of transactions span the whole server."""
    parameters: dict[str, Any] = connection.get_connection_params()
    user_id = new_id()
    with psycopg.connect(**{**parameters, "dbname": "postgres"}) as neighbour:
        neighbour.execute("SELECT 1")
        publish_registrations(user_id)
        assert deliver(consumer()) == 1  # what only reads has no number

        neighbour.execute("SELECT pg_current_xact_id()")
        publish_registrations(user_id)
        relay.deliver(consumer())
        assert handled() == [user_id]

        neighbour.rollback()
    deliver(consumer())

    assert handled() == [user_id, user_id]


def test_a_reader_by_position_alone_skips_it(handled: Any) -> None:
    """The negative control: the danger is real."""
    late, later = new_id(), new_id()
    last_seen, seen = 0, []

    def read() -> None:
        nonlocal last_seen
        for event in Event.objects.filter(position__gt=last_seen).order_by("position"):
            seen.append(event.object_id)
            last_seen = event.position

    with another_connection() as other:
        insert_by(other, late)
        publish_registrations(later)
        read()
        other.commit()
    read()

    assert Event.objects.count() == 2
    assert seen == [later]


def test_no_event_is_skipped_or_doubled_with_many_writers(handled: Any) -> None:
    done = threading.Event()
    published: list[UUID] = []

    def write() -> None:
        for _ in range(15):
            users = [new_id(), new_id()]
            with transaction.atomic():
                for user_id in users:
                    publish(UserRegistered(user_id=user_id, email="x"), actor=system("tests"))
                    threading.Event().wait(0.002)
            published.extend(users)

    def keep_relaying() -> None:
        while not done.is_set():
            relay.deliver(consumer())

    def write_all() -> None:
        try:
            at_once(write, write, write, write)
        finally:
            done.set()

    at_once(write_all, keep_relaying, keep_relaying)
    deliver(consumer())

    assert len(published) == 120
    assert sorted(handled()) == sorted(published)
    in_log = list(
        Event.objects.order_by("transaction", "position").values_list("object_id", flat=True)
    )
    assert handled() == in_log


def test_two_relays_at_once_deliver_once(handled: Any) -> None:
    users = [new_id() for _ in range(6)]
    publish_registrations(*users)
    ConsumerOffset.objects.create(consumer="tests")

    wait_until_readable()
    counts = at_once(*[lambda: relay.deliver(consumer())] * 3)

    assert sorted(counts) == [0, 0, 6]
    assert handled() == users


@pytest.mark.parametrize(("is_noticed", "times"), [(True, 1), (False, 2)])
def test_without_the_lock_the_first_to_save_its_offset_wins(
    handled: Any, monkeypatch: pytest.MonkeyPatch, is_noticed: bool, times: int
) -> None:
    users = [new_id() for _ in range(3)]
    publish_registrations(*users)
    ConsumerOffset.objects.create(consumer="tests")
    both_read = threading.Barrier(2)

    def when_both_have_read(events: Sequence[RecordedEvent]) -> None:
        both_read.wait(timeout=10)
        record_handled(events)

    monkeypatch.setattr(relay, "_LOCK", "SELECT %s::text")
    if not is_noticed:
        statement = relay._SAVE_OFFSET.replace("AND transaction =", "OR transaction =")
        monkeypatch.setattr(relay, "_SAVE_OFFSET", statement)
    wait_until_readable()
    at_once(*[lambda: relay.deliver(consumer(when_both_have_read))] * 2)

    assert sorted(handled()) == sorted(users * times)


def test_offset_and_effects_commit_together(handled: Any) -> None:
    user_id = new_id()
    publish_registrations(user_id)

    def note_and_die(events: Sequence[RecordedEvent]) -> None:
        record_handled(events)
        raise KeyboardInterrupt  # the worker is ended between the effect and the offset

    with pytest.raises(KeyboardInterrupt):
        deliver(consumer(note_and_die))
    assert handled() == []

    deliver(consumer())
    assert handled() == [user_id]


@pytest.mark.parametrize("error", [OperationalError("the server went away"), Unavailable()])
def test_a_lost_database_is_not_an_events_failure(handled: Any, error: Exception) -> None:
    user_id = new_id()
    publish_registrations(user_id)

    def fail(_: Sequence[RecordedEvent]) -> None:
        raise error

    with pytest.raises(type(error)):
        deliver(consumer(fail))

    assert not DeadLetter.objects.exists()
    deliver(consumer())
    assert handled() == [user_id]
