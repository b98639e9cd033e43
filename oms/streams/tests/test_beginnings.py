"""What happens between the moment when a position is read and that when a stream is live."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from uuid import UUID

import pytest

from oms.events.models import Event
from oms.streams import broadcast, connection
from oms.streams.feed import FeedEvent, FeedScope, latest_position
from oms.streams.listeners import Ending, Listener
from oms.streams.messages import Message, message_of
from oms.streams.tests.in_process import (
    caller_for,
    follow,
    messages_of,
    received,
    running_streams,
)
from oms.streams.topics import Topic
from oms.testing.factories import make_customer, make_product
from oms.testing.ordering import place
from oms.users.models import User

pytestmark = pytest.mark.django_db(transaction=True)

# So long takes the tail at most to see an order.
_TAIL_SECONDS = 1.5


def begun(buyer: User) -> tuple[UUID, Sequence[Message]]:
    """The announced position of a new stream of the buyer, and what it gets within seconds."""
    caller = caller_for(buyer)

    async def run() -> tuple[UUID, Sequence[Message]]:
        async with running_streams() as streams:
            listener, position = await follow(streams, [Topic.ORDERS], caller=caller)
            await asyncio.sleep(2 * _TAIL_SECONDS)
            return position, messages_of(listener)

    return asyncio.run(run())


def test_nothing_is_missed_that_happens_while_a_stream_begins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    buyer, mug = make_customer(), make_product()
    first = place((mug, 1), customer=buyer)

    def slow(scope: FeedScope) -> UUID:
        position = latest_position(scope)
        place((mug, 1), customer=buyer)
        time.sleep(_TAIL_SECONDS)  # the live streams get it meanwhile
        return position

    monkeypatch.setattr(connection, "latest_position", slow)
    position, messages = begun(buyer)

    assert position == Event.objects.get(type="order.placed", object_id=first.id).id
    assert [each.event for each in messages] == ["order.placed"]


def test_a_stream_that_begins_gets_nothing_from_before() -> None:
    customer = make_customer()
    place((make_product(), 1), customer=customer)

    _, messages = begun(customer)

    assert messages == []


def test_streams_end_and_resume_when_events_cannot_be_handed_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    buyer, mug = make_customer(), make_product()
    caller = caller_for(buyer)
    failures = [ValueError("a bug")]

    def failing(event: FeedEvent) -> Message:
        if failures:
            raise failures.pop()
        return message_of(event)

    monkeypatch.setattr(broadcast, "message_of", failing)

    async def run() -> tuple[Listener, Sequence[Message]]:
        async with running_streams() as streams:
            listener, position = await follow(streams, [Topic.ORDERS], caller=caller)
            while any(each.behind for each in listener.subscriptions):
                await asyncio.sleep(0.05)
            await streams.in_thread(place, (mug, 1), customer=buyer)
            await streams.in_thread(place, (mug, 1), customer=buyer)
            async with asyncio.timeout(60):
                while listener.ending is None:
                    await asyncio.sleep(0.05)
            resumed, _ = await follow(streams, [Topic.ORDERS], caller=caller, after=position)
            return listener, await received(resumed, number=2)

    listener, messages = asyncio.run(run())
    assert listener.ending is Ending.RESTART
    assert [each.event for each in messages] == ["order.placed"] * 2
