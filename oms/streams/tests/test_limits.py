"""Positions that are archived, tickets that are old, one stream too many, and silence."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest

from oms.core import clock
from oms.events.models import ArchivedMonth, Event
from oms.streams import connection
from oms.streams.listeners import Caller, TooManyStreams
from oms.streams.tests.in_process import caller_for, follow, messages_of, running_streams
from oms.streams.tickets import issue_ticket
from oms.streams.topics import Topic
from oms.testing.event_log import wait_until_readable
from oms.testing.factories import make_customer, make_product, tokens_for
from oms.testing.ordering import place
from oms.testing.streams import StreamRefused, streamed, web_socket
from oms.users.models import Session

pytestmark = pytest.mark.django_db(transaction=True)

# Of January 2025.
ARCHIVED = "01942000-0000-7000-8000-000000000000"


def test_an_archived_position_is_gone_and_the_oldest_is_said(url: str) -> None:
    buyer = make_customer()
    order = place((make_product(), 1), customer=buyer)
    wait_until_readable()
    ArchivedMonth.objects.create(month="2025-01-01", file="2025-01", rows=1, sha256="0" * 64)
    oldest = str(Event.objects.order_by("transaction", "position")[0].id)
    access = tokens_for(buyer).access

    for topics in ("orders", "inventory"):
        answer = httpx.get(
            f"{url}/api/v1/stream",
            params={"topics": topics, "after": ARCHIVED},
            headers={"Authorization": f"Bearer {access}"},
        )
        assert (answer.status_code, answer.json()["code"]) == (410, "events_archived")
        assert answer.json()["oldest"] == oldest
    with streamed(url, "orders", token=access, after=oldest) as stream:
        assert stream.next().data["order_id"] == str(order.id)

    with web_socket(url, token=access) as socket:
        error = socket.ask(type="subscribe", topics=["orders"], after=ARCHIVED)
        assert (error["type"], error["status"], error["code"]) == ("error", 410, "events_archived")
        assert error["oldest"] == oldest
        answered = socket.ask(type="subscribe", topics=["orders"], after=oldest)
        assert answered["type"] == "subscribed"


def test_a_ticket_is_good_for_half_a_minute(url: str) -> None:
    buyer = make_customer()
    tokens_for(buyer)
    session = Session.objects.get(user=buyer)

    def status(*, seconds: float) -> tuple[int, str]:
        with clock.stopped_at(clock.now() - timedelta(seconds=seconds)):
            ticket = issue_ticket(user_id=buyer.id, session_id=session.id)
        try:
            with streamed(url, "orders", ticket=ticket):
                return 200, ""
        except StreamRefused as refusal:
            return refusal.status, refusal.code

    assert status(seconds=31) == (401, "ticket_invalid")
    assert status(seconds=20) == (200, "")


def test_an_address_has_so_many_streams_for_all_of_its_callers(settings: Any) -> None:
    settings.STREAMS_PER_ADDRESS, settings.STREAMS_PER_ACCOUNT = 3, 2
    callers = [caller_for(make_customer()) for _ in range(2)]
    address = callers[0].address

    async def run() -> None:
        async with running_streams() as streams:
            first, _ = await follow(streams, [Topic.ORDERS], caller=callers[0])
            for caller in (callers[1], Caller(address=address)):
                await follow(streams, [Topic.INVENTORY], caller=caller)
            for caller in (callers[0], Caller(address=address)):
                with pytest.raises(TooManyStreams):
                    await follow(streams, [Topic.INVENTORY], caller=caller)
            await follow(streams, [Topic.INVENTORY], caller=Caller(address="192.0.2.2"))
            streams.disconnect(first)
            await follow(streams, [Topic.INVENTORY], caller=Caller(address=address))

    asyncio.run(run())


def test_a_stream_without_events_has_a_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_HEARTBEAT_SECONDS", 0.5)

    async def run() -> None:
        async with running_streams() as streams:
            listener, _ = await follow(streams, [Topic.INVENTORY])
            for _ in range(2):
                await asyncio.wait_for(listener.arrival(), timeout=20)
                assert messages_of(listener) == []
                assert listener.ending is None

    asyncio.run(run())
