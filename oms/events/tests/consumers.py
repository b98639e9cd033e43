"""Publishing and handling events in tests of the relay."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from uuid import UUID

from django.db import connection, transaction

from oms.core.actor import system
from oms.events import relay
from oms.events.publishing import publish
from oms.events.relay import Consumer, RecordedEvent
from oms.testing.event_log import wait_until_readable
from oms.users.events import UserRegistered


def publish_registrations(*user_ids: UUID) -> None:
    """Commit one event for each of `user_ids` in one transaction."""
    with transaction.atomic():
        for user_id in user_ids:
            publish(UserRegistered(user_id=user_id, email="x@example.com"), actor=system("tests"))


def deliver(consumer: Consumer) -> int:
    """What the relay does, once all that is committed can be read."""
    wait_until_readable()
    return relay.deliver(consumer)


def record_handled(events: Sequence[RecordedEvent]) -> None:
    """A handler: record whose registration was handled."""
    with connection.cursor() as cursor:
        for event in events:
            assert isinstance(event.fact, UserRegistered)
            cursor.execute(
                "INSERT INTO test_handled (event_id) VALUES (%s)", [str(event.fact.user_id)]
            )


def consumer(handle: Callable[[Sequence[RecordedEvent]], None] = record_handled) -> Consumer:
    return Consumer(name="tests", event_types=(UserRegistered,), handle=handle)
