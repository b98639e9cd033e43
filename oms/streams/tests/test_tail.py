"""The thread that reads the log: what it does when PostgreSQL does not answer it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Sequence
from threading import Event as Flag
from uuid import UUID

import psycopg
import pytest
from django.db import OperationalError
from django.test import RequestFactory

from oms.http.health import ready
from oms.streams import connection, stock, tail
from oms.streams.messages import Message
from oms.streams.stock import ProductState, states_of
from oms.streams.tests.in_process import ANONYMOUS, caller_for, follow, received, running_streams
from oms.streams.topics import Topic
from oms.testing.factories import make_customer, make_product
from oms.testing.ordering import place
from oms.testing.processes import current_database_url

pytestmark = pytest.mark.django_db(transaction=True)


def test_events_come_although_the_stock_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    buyer, mug = make_customer(), make_product(stock=5)
    caller, answers = caller_for(buyer), Flag()

    def failing(product_ids: Collection[UUID]) -> list[ProductState]:
        if not answers.is_set():
            raise OperationalError
        return states_of(product_ids)

    monkeypatch.setattr(tail, "states_of", failing)

    async def run() -> tuple[Sequence[Message], Sequence[Message]]:
        async with running_streams() as streams:
            both = [Topic.ORDERS, Topic.INVENTORY]
            listener, _ = await follow(streams, both, caller=caller)
            await streams.in_thread(place, (mug, 1), customer=buyer)
            events = await received(listener, number=1)
            answers.set()
            return events, await received(listener, number=1)

    (event,), (state,) = asyncio.run(run())
    assert event.event == "order.placed"
    assert json.loads(state.data)["available"] == 4


def test_few_changes_are_kept_while_the_stock_cannot_be_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And yet the stock of each is sent afterwards."""
    buyer, products = make_customer(), [make_product(stock=5) for _ in range(6)]
    caller, answers = caller_for(buyer), Flag()

    def failing(product_ids: Collection[UUID]) -> list[ProductState]:
        if not answers.is_set():
            raise OperationalError
        return states_of(product_ids)

    monkeypatch.setattr(tail, "_MOST_CHANGES", 2)
    monkeypatch.setattr(tail, "_LIMIT", 2)
    monkeypatch.setattr(tail, "states_of", failing)
    monkeypatch.setattr(stock, "states_of", failing)

    async def run() -> tuple[Sequence[Message], Sequence[Message]]:
        async with running_streams() as streams:
            both = [Topic.ORDERS, Topic.INVENTORY]
            listener, _ = await follow(streams, both, caller=caller)
            for product in products:
                await streams.in_thread(place, (product, 1), customer=buyer)
            events = await received(listener, number=6)
            assert len(streams.broadcast._tail._changes) <= 2
            answers.set()
            return events, await received(listener, number=6)

    events, states = asyncio.run(run())
    assert {each.event for each in events} == {"order.placed"}
    found = {json.loads(each.data)["product_id"]: json.loads(each.data) for each in states}
    assert found.keys() == {str(product.id) for product in products}
    assert {state["available"] for state in found.values()} == {4}


def test_a_log_that_is_not_read_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_LONG_LAG", 2.0)

    async def state() -> str:
        answer = await asyncio.to_thread(ready, RequestFactory().get("/health/ready"))
        assert answer.status_code == 200
        found: str = json.loads(answer.content)["dependencies"]["streams"]["status"]
        return found

    async def run() -> None:
        async with running_streams() as streams:
            assert await state() == "ok"
            await follow(streams, [Topic.INVENTORY], caller=ANONYMOUS)
            with psycopg.connect(current_database_url()) as other:
                other.execute("LOCK TABLE events_event IN ACCESS EXCLUSIVE MODE")
                await asyncio.sleep(4)
                assert streams.broadcast.seconds_behind() > 2
                assert connection._LAG._value.get() > 1
                assert await state() == "down"
            async with asyncio.timeout(60):
                while streams.broadcast.seconds_behind() > 1:
                    await asyncio.sleep(0.1)
            assert await state() == "ok"

    asyncio.run(run())
