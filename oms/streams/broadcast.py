"""Hands what the log gains to the subscriptions of this process. For the event loop alone.

A subscription is either live, and gets what the tail reads, or behind: then it reads from the log
by itself, page by page, until it has all that the tail has read, and becomes live in that moment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec

from oms.core.errors import Unavailable
from oms.core.ids import creation_time_of
from oms.streams.feed import NOTHING, FeedEvent, FeedPage, Place, place_of, read_feed, read_on
from oms.streams.listeners import Connections, Ending, Listener, Subscription
from oms.streams.messages import message_of, stock_message
from oms.streams.stock import ProductState, products_changed_since, states_of
from oms.streams.tail import OF_ACCESS, LogTail, Progress
from oms.streams.topics import Interest, Topic
from oms.users.events import GroupChanged, SessionRevoked

# A topic, and whose or of what it is: None for all.
_Key = tuple[Topic, str | UUID | None]

_PAGE = 200
_ROOM_SECONDS = 0.1
# By how much the stock of a product may be sent later than the change, with the longest that a
# transaction may take.
_STOCK_DELAY = timedelta(seconds=30)


class Broadcast:
    """The subscriptions of this process. `read` runs a function on a thread with a database."""

    def __init__(self, *, connections: Connections, read: Callable[..., Awaitable[Any]]) -> None:
        self._connections, self._read = connections, read
        self._loop = asyncio.get_running_loop()
        self._tail = LogTail(self._receive)
        self._round = self._listeners = 0
        self._begun: asyncio.Future[None] | None = None
        self._until: Place | None = None
        self._groups: dict[_Key, set[Subscription]] = {}
        self.position: UUID = NOTHING
        """The position of the last event that the live subscriptions have got."""

    def close(self) -> None:
        """End the thread that reads the log."""
        self._tail.close()

    def follow(self) -> None:
        """Follow the log from its present end on, until as many calls of `leave`."""
        self._listeners += 1
        if self._listeners == 1:
            self._until, self._begun = None, self._loop.create_future()
            self._round = self._tail.listen()

    def leave(self) -> None:
        """Take one call of `follow` back."""
        self._listeners -= 1
        if not self._listeners:
            self._tail.rest()

    async def begun(self, *, seconds: float) -> None:
        """Return once the end of the log is known. Raises Unavailable after so many seconds."""
        if self._until is None and self._begun is not None:
            try:
                await asyncio.wait_for(asyncio.shield(self._begun), seconds)
            except TimeoutError as error:
                raise Unavailable from error

    # --- Subscriptions ----------------------------------------------------------------------------

    def begin(self, subscription: Subscription) -> None:
        """Let the subscription have what the tail reads from now on."""
        for key in _keys(subscription.interest):
            self._groups.setdefault(key, set()).add(subscription)
        self._note_stock(subscription)

    def end(self, subscription: Subscription) -> None:
        """Let it have nothing more."""
        for key in _keys(subscription.interest):
            group = self._groups.get(key, set())
            group.discard(subscription)
            if not group:
                self._groups.pop(key, None)
        self._note_stock(subscription)

    def _note_stock(self, changed: Subscription) -> None:
        if Topic.INVENTORY in changed.interest.topics:
            self._tail.follows_stock = any(topic is Topic.INVENTORY for topic, _ in self._groups)

    async def first_page(self, interest: Interest, *, after: UUID) -> FeedPage | None:
        """What the log has after that position; None for stock alone.

        Raises EventsArchived, and LookupError for an id that no event has.
        """
        if interest.scope is None:
            await self._read(place_of, after)
            return None
        page: FeedPage = await self._read(read_feed, interest.scope, after=after, limit=_PAGE)
        return page

    async def catch_up(
        self, subscription: Subscription, *, after: UUID | None, page: FeedPage | None
    ) -> None:
        """Give the subscription what `first_page` has found and all that follows, then begin.

        With the stock that has changed since `after`.
        """
        interest, listener = subscription.interest, subscription.listener
        while page is not None and interest.scope is not None:
            for event in filter(subscription.wants, page.events):
                listener.put(message_of(event))
            if not await _has_room(listener):
                return
            if not page.is_full and self._until is not None and page.until >= self._until:
                subscription.after = page.until
                break
            page = await self._read(read_on, interest.scope, last=page, limit=_PAGE)
        self.begin(subscription)
        if after is not None and subscription.wants_stock:
            for state in await self._read(_stock_since, after, interest.product_id):
                if not await _has_room(listener):
                    return
                listener.put(stock_message(state, position=self.position))

    # --- Events -----------------------------------------------------------------------------------

    def _receive(self, progress: Progress) -> None:
        """Called by the thread that reads the log."""
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._deliver, progress)

    def _deliver(self, progress: Progress) -> None:
        if progress.round != self._round:
            return
        for event in progress.page.events:
            if event.type in OF_ACCESS:
                self._end_after(event)
            else:
                self._send(event)
        self._until, self.position = progress.page.until, progress.page.next
        for state in progress.stock:
            self._send_stock(state)
        if self._begun is not None and not self._begun.done():
            self._begun.set_result(None)

    def _send(self, event: FeedEvent) -> None:
        message = None
        # Of events without a customer both are the same.
        for key in {_ALL_ORDERS, (Topic.ORDERS, event.customer_id)}:
            for subscription in self._groups.get(key, ()):
                if subscription.wants(event):
                    message = message or message_of(event)
                    subscription.listener.put(message)

    def _send_stock(self, state: ProductState) -> None:
        message = stock_message(state, position=self.position)
        for product in (None, state.product_id):
            for subscription in self._groups.get((Topic.INVENTORY, product), ()):
                if subscription.wants_stock:
                    subscription.listener.put(message)

    def _end_after(self, event: FeedEvent) -> None:
        """End what may be no longer allowed: who connects again is authenticated again."""
        if event.type == GroupChanged.type:
            for listener, caller in self._connections.all():
                if caller.is_staff:
                    listener.end(Ending.RESTART)
            return
        data = msgspec.json.decode(event.data)
        session = data["session_id"] if event.type == SessionRevoked.type else None
        for listener, caller in self._connections.of_user(UUID(data["user_id"])):
            if session is None:
                listener.end(Ending.RESTART)
            elif str(caller.session_id) == session:
                listener.end(Ending.SIGNED_OUT)


# Of staff, and with their own notifications.
_ALL_ORDERS: _Key = (Topic.ORDERS, None)


def _keys(interest: Interest) -> Iterator[_Key]:
    scope = interest.scope
    if scope is not None:
        yield Topic.ORDERS, None if scope.customer_id is None else str(scope.customer_id)
    if Topic.INVENTORY in interest.topics:
        yield Topic.INVENTORY, interest.product_id


async def _has_room(listener: Listener) -> bool:
    """Wait until less waits for the listener; whether it has not ended."""
    while listener.is_behind and listener.ending is None:
        await asyncio.sleep(_ROOM_SECONDS)
    return listener.ending is None


def _stock_since(after: UUID, product_id: UUID | None) -> Sequence[ProductState]:
    if product_id is not None:
        return states_of([product_id])
    return states_of(products_changed_since(creation_time_of(after) - _STOCK_DELAY))
