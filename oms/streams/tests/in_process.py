"""The streams of a web process in the process of the test, without a server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from threading import Barrier
from uuid import UUID

from django.db import connections

from oms.streams.connection import _READERS, Streams
from oms.streams.listeners import Caller, Listener
from oms.streams.messages import Message
from oms.streams.topics import Topic, interest_of
from oms.testing.factories import tokens_for
from oms.users.access_tokens import account_of
from oms.users.models import Session, User

ANONYMOUS = Caller(address="192.0.2.1")
_SECONDS = 60.0


@asynccontextmanager
async def running_streams() -> AsyncIterator[Streams]:
    streams = Streams(cut=lambda client: None)
    try:
        yield streams
    finally:
        barrier = Barrier(_READERS)
        await asyncio.gather(*[streams.in_thread(_close, barrier) for _ in range(_READERS)])
        await streams.close()


def _close(barrier: Barrier) -> None:
    """On each of the threads, whose connections would keep the database from being dropped."""
    barrier.wait(timeout=_SECONDS)
    connections.close_all()


def caller_for(user: User) -> Caller:
    """The user with a new session."""
    tokens_for(user)
    account = account_of(Session.objects.get(user=user).id)
    assert account is not None
    return Caller(address="192.0.2.1", account=account)


async def follow(
    streams: Streams,
    topics: Collection[Topic],
    *,
    caller: Caller = ANONYMOUS,
    after: UUID | None = None,
) -> tuple[Listener, UUID]:
    """A stream that has begun, and its announced position."""
    listener = Listener(kind="sse")
    interest = interest_of(caller.account, topics=topics, product_id=None)
    await streams.connect(listener, caller)
    position, page = await streams.beginning(interest, caller=caller, after=after)
    streams.subscribe(listener, interest, after=after, page=page)
    return listener, position


async def received(listener: Listener, *, number: int) -> Sequence[Message]:
    """All messages that wait, once they are so many. Raises TimeoutError."""
    found = messages_of(listener)
    async with asyncio.timeout(_SECONDS):
        while len(found) < number:
            await asyncio.sleep(0.05)
            found += messages_of(listener)
    return found


def messages_of(listener: Listener) -> list[Message]:
    """The messages that wait for it."""
    return [message for message in listener.take() if isinstance(message, Message)]
