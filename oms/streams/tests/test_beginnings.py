"""What happens between the moment when a position is read and that when a stream is live."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from threading import Barrier
from uuid import UUID

import pytest
from django.db import connections

from oms.core.ids import new_id
from oms.events.models import Event
from oms.streams import broadcast, connection
from oms.streams.connection import _READERS, Streams
from oms.streams.feed import FeedScope, latest_position
from oms.streams.listeners import MOST_WAITING, Caller, Ending, Listener
from oms.streams.messages import Message
from oms.streams.stock import ProductState
from oms.streams.topics import Topic, interest_of
from oms.testing.factories import make_customer, make_product, tokens_for
from oms.testing.ordering import place
from oms.users.access_tokens import account_of
from oms.users.models import Session, User

pytestmark = pytest.mark.django_db(transaction=True)

# So long takes the tail at most to see an order.
_TAIL_SECONDS = 1.5


def begun(buyer: User) -> tuple[UUID, Sequence[Message]]:
    """The announced position of a new stream of the buyer, and what it gets within seconds."""
    tokens_for(buyer)
    account = account_of(Session.objects.get(user=buyer).id)
    assert account is not None
    interest = interest_of(account, topics=[Topic.ORDERS], product_id=None)

    async def run() -> tuple[UUID, Sequence[Message]]:
        streams, listener = Streams(cut=lambda client: None), Listener(kind="sse")
        try:
            caller = Caller(address="192.0.2.1", user_id=account.id, session_id=account.session_id)
            await streams.connect(listener, caller)
            position, page = await streams.beginning(interest, after=None)
            streams.subscribe(listener, interest, after=None, page=page)
            await asyncio.sleep(2 * _TAIL_SECONDS)
            return position, [each for each in listener.take() if isinstance(each, Message)]
        finally:
            await _end(streams, listener)

    return asyncio.run(run())


async def _end(streams: Streams, listener: Listener) -> None:
    listener.end(Ending.GONE)
    streams.disconnect(listener)
    barrier = Barrier(_READERS)
    await asyncio.gather(*[streams.in_thread(_close, barrier) for _ in range(_READERS)])
    await streams.close()


def _close(barrier: Barrier) -> None:
    """On each of the threads, whose connections would keep the database from being dropped."""
    barrier.wait(timeout=10)
    connections.close_all()


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


def test_a_stream_of_stock_resumes_however_many_products_have_changed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """More than may wait for a client."""
    number = 3 * MOST_WAITING
    states = [
        ProductState(product_id=new_id(), sku=f"SKU-{each}", available=1, in_stock=True)
        for each in range(number)
    ]
    monkeypatch.setattr(broadcast, "_stock_since", lambda *_: states)
    interest = interest_of(None, topics=[Topic.INVENTORY], product_id=None)

    async def run() -> int:
        streams, listener = Streams(cut=lambda client: None), Listener(kind="sse")
        found = 0
        try:
            await streams.connect(listener, Caller(address="192.0.2.1"))
            streams.subscribe(listener, interest, after=new_id(), page=None)
            async with asyncio.timeout(20):
                while found < number and listener.ending is None:
                    await asyncio.sleep(0.05)
                    found += len(listener.take())
            return found
        finally:
            await _end(streams, listener)

    assert asyncio.run(run()) == number


def test_a_stream_that_begins_gets_nothing_from_before() -> None:
    customer = make_customer()
    place((make_product(), 1), customer=customer)

    _, messages = begun(customer)

    assert messages == []
