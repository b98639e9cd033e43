"""A dump of the log that was restored on another server, whose transactions have lower numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from django.db import connection

from oms.core.ids import new_id
from oms.events import relay
from oms.events.models import ConsumerOffset, Event
from oms.events.restoring import renumber_restored_log
from oms.events.tests.consumers import consumer, deliver, publish_registrations

pytestmark = pytest.mark.django_db(transaction=True)

# How far the old server was ahead.
_AHEAD = 5_000_000


@pytest.fixture
def restored(handled: Any) -> Any:
    """A log as after a restore: the consumer "tests" has read one event, and one is unread."""
    first, second = new_id(), new_id()
    publish_registrations(first)
    assert deliver(consumer()) == 1
    publish_registrations(second)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE events_event DISABLE TRIGGER events_event_append_only")
        for table in ("events_event", "events_consumeroffset"):
            cursor.execute(
                f"UPDATE {table} SET transaction ="  # noqa: S608
                f" (transaction::text::bigint + {_AHEAD})::text::xid8"
            )
        cursor.execute("ALTER TABLE events_event ENABLE TRIGGER events_event_append_only")
    return handled, first, second


def test_nothing_is_delivered_until_the_log_is_renumbered(restored: Any) -> None:
    handled, first, second = restored
    third = new_id()
    publish_registrations(third)
    assert relay.deliver(consumer()) == 0

    assert renumber_restored_log() == 3

    assert deliver(consumer()) == 2
    assert handled() == [first, second, third]
    fourth = new_id()
    publish_registrations(fourth)
    assert deliver(consumer()) == 1
    assert handled() == [first, second, third, fourth]


def test_each_consumer_goes_on_where_it_was(restored: Any) -> None:
    handled, first, second = restored
    ConsumerOffset.objects.create(consumer="late")  # has read nothing yet

    renumber_restored_log()

    assert deliver(consumer()) == 1
    assert handled() == [first, second]
    assert deliver(replace(consumer(), name="late")) == 2


def test_the_log_of_this_server_is_left_as_it_is(handled: Any) -> None:
    publish_registrations(new_id())
    before = list(Event.objects.values_list("id", "transaction"))

    assert renumber_restored_log() is None
    assert list(Event.objects.values_list("id", "transaction")) == before


def test_the_log_is_append_only_again_afterwards(restored: Any) -> None:
    renumber_restored_log()

    with pytest.raises(Exception, match="append-only"):
        Event.objects.update(type="x")
    assert renumber_restored_log() is None
