"""What a batch of the relay costs, and how consumers share a worker's time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from unittest.mock import patch

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from oms.core.actor import system
from oms.core.errors import Unavailable
from oms.core.ids import new_id
from oms.db.pipeline import execute
from oms.events import relay
from oms.events.models import ConsumerOffset, DeadLetter, Event
from oms.events.publishing import RELAY_TASK, publish
from oms.events.relay import Consumer, RecordedEvent
from oms.events.tests.consumers import consumer, deliver, publish_registrations, record_handled
from oms.queue.wakeups import hold_wakeups, release_wakeups
from oms.subscriptions import relay_events
from oms.testing.event_log import wait_until_readable
from oms.users.events import UserLoggedIn, UserRegistered

pytestmark = pytest.mark.django_db(transaction=True)


def test_only_subscribed_events_leave_the_database(handled: Any) -> None:
    user_id = new_id()
    with transaction.atomic():
        for _ in range(5):
            publish(UserLoggedIn(user_id=user_id, session_id=new_id()), actor=system("tests"))
    publish_registrations(user_id)
    with transaction.atomic():
        publish(UserLoggedIn(user_id=user_id, session_id=new_id()), actor=system("tests"))
    wait_until_readable()

    with patch.object(relay, "recorded", wraps=relay.recorded) as recorded:
        assert relay.deliver(consumer()) == 1

    assert recorded.call_count == 1
    last = Event.objects.order_by("transaction", "position").last()
    assert last is not None
    assert ConsumerOffset.objects.get(consumer="tests").position == last.position


def test_many_events_take_as_many_statements_as_one(handled: Any) -> None:
    def statements(count: int) -> int:
        publish_registrations(*[new_id() for _ in range(count)])
        wait_until_readable()
        with CaptureQueriesContext(connection) as captured:
            assert relay.deliver(consumer(lambda events: None)) == count
        return len(captured)

    deliver(consumer())
    assert statements(50) == statements(1)


def test_a_handler_that_has_written_nothing_holds_back_no_reader(handled: Any) -> None:
    publish_registrations(new_id())
    numbers = []

    def look(_: Sequence[RecordedEvent]) -> None:
        numbers.extend(execute("SELECT pg_current_xact_id_if_assigned()::text").rows())

    deliver(consumer())
    publish_registrations(new_id())
    deliver(consumer(look))

    assert numbers == [(None,)]


def test_a_second_worker_leaves_the_relay_to_the_first(handled: Any) -> None:
    with patch("oms.subscriptions.deliver") as delivering:
        hold_wakeups(RELAY_TASK)
        relay_events()
        assert delivering.call_count == 0

        release_wakeups(RELAY_TASK)
        delivering.return_value = 0
        relay_events()
        assert delivering.call_count > 0


def test_a_consumer_with_a_backlog_shares_the_time_with_the_next_one(handled: Any) -> None:
    turns: list[str] = []

    def one(name: str) -> Consumer:
        return Consumer(
            name=name, event_types=(UserRegistered,), handle=lambda _: turns.append(name)
        )

    consumers = [one("first"), one("second")]
    for each in consumers:
        deliver(each)
    turns.clear()
    publish_registrations(*[new_id() for _ in range(3)])
    wait_until_readable()

    with (
        patch("oms.subscriptions.CONSUMERS", consumers),
        patch("oms.subscriptions._SHARE", 0.0),
        patch("oms.events.relay.BATCH", 1),
    ):
        relay_events()

    assert turns == ["first", "second"] * 3


def test_time_that_runs_out_among_other_events_leaves_more_to_do(
    handled: Any,
) -> None:
    other = Consumer(name="tests", event_types=(), handle=record_handled)
    deliver(other)
    publish_registrations(new_id(), new_id(), new_id())
    wait_until_readable()

    with patch("oms.events.relay.BATCH", 2):
        assert relay.deliver(other, deadline=0.0) == 1
        assert relay.deliver(other, deadline=0.0) == 0


def test_a_consumer_that_fails_stops_no_other(
    handled: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: Sequence[RecordedEvent]) -> None:
        raise Unavailable

    consumers = (
        Consumer(name="failing", event_types=(UserRegistered,), handle=fail),
        consumer(),
    )
    user_id = new_id()
    publish_registrations(user_id)
    wait_until_readable()

    with patch("oms.subscriptions.CONSUMERS", consumers):
        relay_events()

    assert handled() == [user_id]
    failures: list[Any] = [r.msg for r in caplog.records if r.name == "oms.subscriptions"]
    assert {(line["event"], line["work"]) for line in failures} == {
        ("background_work_failed", "failing")
    }


def test_an_event_that_exceeds_a_limit_of_postgresql_stops_no_other(handled: Any) -> None:
    users = [new_id() for _ in range(3)]
    publish_registrations(*users)

    def handle(events: Sequence[RecordedEvent]) -> None:
        record_handled(events)
        facts = [event.fact for event in events]
        if any(isinstance(fact, UserRegistered) and fact.user_id == users[1] for fact in facts):
            with connection.cursor() as cursor:
                cursor.execute("CREATE TEMPORARY TABLE short (text text PRIMARY KEY)")
                long = "string_agg(md5(random()::text), '') FROM generate_series(1, 10000)"
                cursor.execute(f"INSERT INTO short SELECT {long}")

    assert deliver(consumer(handle)) == 3

    assert handled() == [users[0], users[2]]
    [failed] = DeadLetter.objects.all()
    assert "index row" in failed.last_error
