"""Hands what the log gains to the subscriptions of this process. For the event loop alone.

A subscription is either live, and gets what the tail reads, or behind: then it reads from the log
by itself, page by page, until it has all that the tail has read, and becomes live in that moment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Any
from uuid import UUID

import msgspec
import structlog

from oms.core.errors import Unavailable
from oms.streams.feed import NOTHING, FeedEvent, FeedPage, Place, place_of, read_feed, read_on
from oms.streams.listeners import Connections, Ending, Listener, Subscription
from oms.streams.messages import Message, message_of, stock_message
from oms.streams.stock import ProductState, states_of, states_since
from oms.streams.tail import OF_ACCESS, LogTail, Progress
from oms.streams.topics import Interest, Topic
from oms.users.events import GroupChanged, SessionRevoked

log = structlog.get_logger(__name__)

# A topic, and whose or of what it is: None for all.
_Key = tuple[Topic, str | UUID | None]

_PAGE = 200
_STOCK_PAGE = 500
_ROOM_SECONDS = 0.1


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

    def seconds_behind(self) -> float:
        """For how long not all of the log has been read, though somebody listens."""
        return self._tail.seconds_behind()

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

    def _begin_with_stock(self, subscription: Subscription) -> None:
        """Let it have the stock already."""
        key = Topic.INVENTORY, subscription.interest.product_id
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

    async def first_page(self, interest: Interest, *, after: UUID) -> FeedPage:
        """What the log has after that position; for stock alone an empty page.

        Raises EventsArchived, and LookupError for an id that no event has.
        """
        if interest.scope is None:
            return FeedPage(events=[], next=after, until=await self._read(place_of, after))
        page: FeedPage = await self._read(read_feed, interest.scope, after=after, limit=_PAGE)
        return page

    async def catch_up(
        self, subscription: Subscription, *, after: UUID | None, page: FeedPage
    ) -> None:
        """Give the subscription what `first_page` has found and all that follows, then begin.

        Before that the stock that has changed since `after`: the positions of events are later, and
        a client that was cut off meanwhile would go on from there.
        """
        interest, listener = subscription.interest, subscription.listener
        if after is not None and subscription.wants_stock:
            subscription.position = after
            await self._send_missed_stock(subscription, after=after)
        while interest.scope is not None:
            for event in filter(subscription.wants, page.events):
                listener.put(message_of(event))
            subscription.position = page.next
            if not await _has_room(listener):
                return
            if not page.is_full and self._until is not None and page.until >= self._until:
                break
            page = await self._read(read_on, interest.scope, last=page, limit=_PAGE)
        subscription.after, subscription.position = page.until, page.next
        self.begin(subscription)

    async def _send_missed_stock(self, subscription: Subscription, *, after: UUID) -> None:
        """Send what has changed since `after`, and from now on what changes.

        A page at a time: all products may have changed, and other streams wait meanwhile. What is
        sent while a page is looked up may be newer.
        """
        self._begin_with_stock(subscription)
        self._tail.forget_stock()
        sent = subscription.sent_meanwhile = set[UUID]()
        interest = subscription.interest
        last: UUID | None = NOTHING
        while last is not None and await _has_room(subscription.listener):
            if interest.product_id is not None:
                states, last = await self._read(states_of, [interest.product_id]), None
            else:
                states, last = await self._read(states_since, after, beyond=last, limit=_STOCK_PAGE)
            missed = [state for state in states if state.product_id not in sent]
            for state in missed if subscription.wants_stock else ():
                # Who is cut off before the last one has to begin again.
                is_end = (
                    last is None and state is missed[-1] and subscription.interest.scope is None
                )
                message = stock_message(state, position=self.position if is_end else after)
                subscription.listener.put(message, product_id=state.product_id)
        subscription.sent_meanwhile = None

    # --- Events -----------------------------------------------------------------------------------

    def _receive(self, progress: Progress) -> None:
        """Called by the thread that reads the log."""
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._deliver, progress)

    def _deliver(self, progress: Progress) -> None:
        if progress.round != self._round:
            return
        try:
            self._hand_out(progress)
        except Exception:  # a bug; they would miss the rest, and get it when they come again
            log.exception("stream_events_failed")
            for listener in self._connections.listeners():
                listener.end(Ending.RESTART)
        if progress.page is None:
            return
        self._until, self.position = progress.page.until, progress.page.next
        if self._begun is not None and not self._begun.done():
            self._begun.set_result(None)

    def _hand_out(self, progress: Progress) -> None:
        for state in progress.stock:
            self._send_stock(state)
        for event in progress.page.events if progress.page else ():
            if event.type in OF_ACCESS:
                self._end_after(event)
            else:
                self._send(event)

    def _send(self, event: FeedEvent) -> None:
        message = None
        # Of events without a customer both are the same.
        for key in {_ALL_ORDERS, (Topic.ORDERS, event.customer_id)}:
            for subscription in self._groups.get(key, ()):
                if subscription.wants(event):
                    message = message or message_of(event)
                    subscription.listener.put(message)

    def _send_stock(self, state: ProductState) -> None:
        made: dict[UUID, Message] = {}
        for product in (None, state.product_id):
            for subscription in self._groups.get((Topic.INVENTORY, product), ()):
                if not subscription.wants_stock:
                    continue
                position = self._position_for(subscription)
                if position not in made:
                    made[position] = stock_message(state, position=position)
                subscription.listener.put(made[position], product_id=state.product_id)
                if subscription.sent_meanwhile is not None:
                    subscription.sent_meanwhile.add(state.product_id)

    def _position_for(self, subscription: Subscription) -> UUID:
        """From where the subscription can go on: what it has read by itself may be later."""
        if subscription.behind is not None:
            return subscription.position
        after = subscription.after
        has_more = after is not None and (self._until is None or self._until < after)
        return subscription.position if has_more else self.position

    def _end_after(self, event: FeedEvent) -> None:
        """End what may be no longer allowed: who connects again is authenticated again."""
        if event.type == GroupChanged.type:
            for listener, caller in self._connections.all():
                if caller.account is not None and caller.account.is_staff:
                    listener.end(Ending.RESTART)
            return
        data = msgspec.json.decode(event.data)
        session = data["session_id"] if event.type == SessionRevoked.type else None
        for listener, caller in self._connections.of_user(UUID(data["user_id"])):
            if session is None:
                listener.end(Ending.RESTART)
            elif str(caller.session) == session:
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
