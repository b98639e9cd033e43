"""The stock in streams: the newest state comes last, and what was missed comes once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from threading import Event as Flag
from typing import Any
from uuid import UUID

import pytest

from inventory.models import Product
from oms.core.actor import system
from oms.core.ids import new_id
from oms.streams import broadcast, callers, tail
from oms.streams.feed import NOTHING, FeedPage, FeedScope, latest_position, read_on
from oms.streams.listeners import MOST_WAITING, Caller, Listener
from oms.streams.messages import Message
from oms.streams.queries import Refused
from oms.streams.stock import ProductState, states_since
from oms.streams.tail import Progress
from oms.streams.tests.in_process import caller_for, follow, messages_of, received, running_streams
from oms.streams.topics import Topic, interest_of
from oms.testing.event_log import wait_until_readable
from oms.testing.factories import make_customer, make_product
from oms.testing.ordering import place, shipped_order
from orders.operations.receiving import ReceivedItem, record_return
from orders.states import ReturnOutcome

pytestmark = pytest.mark.django_db(transaction=True)


def available(message: Message) -> int:
    found: int = json.loads(message.data)["available"]
    return found


def states(number: int, *, units: int) -> list[ProductState]:
    return [
        ProductState(product_id=UUID(int=each), sku=f"SKU-{each}", available=units, in_stock=True)
        for each in range(number)
    ]


def test_a_newer_state_is_not_followed_by_an_older_one(monkeypatch: pytest.MonkeyPatch) -> None:
    mug = make_product(stock=5)
    newer_sent = Flag()

    def slow(*arguments: Any, **named: Any) -> Any:
        older = states_since(*arguments, **named)
        place((mug, 1))
        assert newer_sent.wait(timeout=60)
        return older

    monkeypatch.setattr(broadcast, "states_since", slow)

    async def run() -> Sequence[Message]:
        async with running_streams() as streams:
            listener, _ = await follow(streams, [Topic.INVENTORY], after=NOTHING)
            newer = await received(listener, number=1)
            newer_sent.set()
            while any(each.behind for each in listener.subscriptions):
                await asyncio.sleep(0.05)
            return [*newer, *messages_of(listener)]

    assert [available(message) for message in asyncio.run(run())] == [4]


def test_what_is_sent_of_the_stock_never_moves_a_client_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Or events would come twice after the next break."""
    buyer, mug = make_customer(), make_product(stock=5)
    caller, start = caller_for(buyer), latest_position(FeedScope(types=()))
    reads_on = Flag()

    def late(scope: FeedScope, *, last: FeedPage, limit: int) -> FeedPage:
        if reads_on.is_set():
            return read_on(scope, last=last, limit=limit)
        return replace(last, events=[], is_full=False)

    monkeypatch.setattr(tail, "read_on", late)

    async def run() -> tuple[Sequence[Message], Sequence[Message]]:
        async with running_streams() as streams:
            await follow(streams, [Topic.INVENTORY])  # the tail has begun before the order
            await streams.in_thread(place, (mug, 1), customer=buyer)
            await streams.in_thread(wait_until_readable)
            both = [Topic.ORDERS, Topic.INVENTORY]
            listener, _ = await follow(streams, both, caller=caller, after=start)
            before = await received(listener, number=2)
            reads_on.set()
            return before, await received(listener, number=1)

    (missed, placed), (live,) = asyncio.run(run())
    assert (missed.event, placed.event, live.event) == (
        *("inventory.changed", "order.placed"),
        "inventory.changed",
    )
    assert placed.id is not None
    assert missed.id == start
    assert live.id is not None
    assert live.id >= placed.id


def test_what_comes_back_is_sent() -> None:
    mug = make_product(stock=5)
    order = shipped_order((mug, 2))
    [item] = order.items.all()
    back = [ReceivedItem(order_item_id=item.id, quantity=1, outcome=ReturnOutcome.RESTOCK)]

    async def run() -> Sequence[Message]:
        async with running_streams() as streams:
            listener, _ = await follow(streams, [Topic.INVENTORY])
            await streams.in_thread(
                record_return, actor=system("tests"), order_id=order.id, items=back
            )
            return await received(listener, number=1)

    assert [available(message) for message in asyncio.run(run())] == [4]


def test_a_stream_holds_one_state_of_each_product_however_many_change() -> None:
    number = 3 * MOST_WAITING

    async def run() -> Sequence[Message]:
        async with running_streams() as streams:
            listener, _ = await follow(streams, [Topic.INVENTORY])
            for units in (7, 8):
                stock = states(number, units=units)
                streams.broadcast._deliver(Progress(round=streams.broadcast._round, stock=stock))
            assert listener.ending is None
            return messages_of(listener)

    messages = asyncio.run(run())
    assert len(messages) == number
    assert {available(message) for message in messages} == {8}


def test_events_without_end_still_end_a_stream_that_is_not_read() -> None:
    listener = Listener(kind="sse")
    for _ in range(MOST_WAITING + 1):
        assert listener.ending is None
        listener.put(Message(id=new_id(), event="order.placed", data="{}"))
    assert listener.ending is not None


def test_missed_stock_comes_in_pages_as_it_is_read() -> None:
    """A client that asks for all products neither fills the memory nor holds up other streams."""
    number = 3 * MOST_WAITING
    make_many_products(number)

    async def run() -> tuple[int, Sequence[Message]]:
        async with running_streams() as streams:
            listener, _ = await follow(streams, [Topic.INVENTORY], after=NOTHING)
            before = 0
            while len(listener._waiting) > before or not before:
                before = len(listener._waiting)
                await asyncio.sleep(0.5)
            return before, await received(listener, number=number)

    waited, messages = asyncio.run(run())
    assert waited <= MOST_WAITING // 2 + broadcast._STOCK_PAGE
    assert len({json.loads(message.data)["product_id"] for message in messages}) == number
    # A client that is cut off before the last of them begins again.
    assert {message.id for message in messages[:-1]} == {NOTHING}


def test_a_client_that_is_cut_off_during_missed_stock_misses_no_event() -> None:
    buyer, mug = make_customer(), make_product(stock=5)
    caller, start = caller_for(buyer), latest_position(FeedScope(types=()))
    place((mug, 1), customer=buyer)
    wait_until_readable()

    async def run() -> tuple[Sequence[Message], Sequence[Message]]:
        async with running_streams() as streams:
            both = [Topic.ORDERS, Topic.INVENTORY]
            listener, _ = await follow(streams, both, caller=caller, after=start)
            first = (await received(listener, number=2))[0]
            resumed, _ = await follow(streams, both, caller=caller, after=first.id)
            return [first], await received(resumed, number=2)

    [first], rest = asyncio.run(run())
    assert {each.event for each in [first, *rest]} == {"inventory.changed", "order.placed"}
    assert "order.placed" in {each.event for each in rest}


def make_many_products(number: int) -> None:
    Product.objects.bulk_create(
        Product(id=new_id(), sku=f"MANY-{each}", name="Many", price=Decimal(1), currency="EUR")
        for each in range(number)
    )


def test_missed_stock_counts_as_the_pages_of_products_that_it_fills(
    monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "general_address": "10/hour"}
    monkeypatch.setattr(callers, "MAX_PAGE_SIZE", 1)
    products = [make_product() for _ in range(3)]
    caller = Caller(address=f"tests-{new_id()}")
    all_stock = interest_of(None, topics=[Topic.INVENTORY], product_id=None)
    of_one = interest_of(None, topics=[Topic.INVENTORY], product_id=products[0].id)

    async def run() -> None:
        async with running_streams() as streams:
            for _ in range(3):
                await streams.beginning(all_stock, caller=caller, after=NOTHING)
            with pytest.raises(Refused) as refusal:
                await streams.beginning(all_stock, caller=caller, after=NOTHING)
            assert refusal.value.problem.status == 429
            await streams.beginning(of_one, caller=caller, after=NOTHING)

    asyncio.run(run())
