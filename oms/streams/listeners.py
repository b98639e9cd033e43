"""Who listens in this process, and what they have not been sent yet. For the event loop alone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from uuid import UUID

from oms.core.errors import TooManyRequests
from oms.streams.feed import NOTHING, FeedEvent, Place
from oms.streams.messages import Message, Reply
from oms.streams.topics import Interest, Topic, topic_of
from oms.users.access_tokens import Account

# A listener for which more events wait than that has stopped reading.
MOST_WAITING = 1_000


class Ending(Enum):
    """Why a stream ends, with the close code of a WebSocket.

    That is from RFC 6455 (7.4.1) and its registry, from 4000 on the shop's own; None where the
    client has closed it.
    """

    GONE = "gone", None
    FAILED = "failed", 1011
    RESTART = "restart", 1012
    SIGNED_OUT = "signed_out", 4401
    NOT_ALLOWED = "not_allowed", 4403
    TOO_MANY = "too_many", 4429
    TOO_SLOW = "too_slow", 4429

    def __init__(self, reason: str, close_code: int | None) -> None:
        self.reason, self.close_code = reason, close_code


@dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    """Who has opened a connection; without `account` an anonymous caller.

    `address` is what counts as one address, `session_key` the session in the back office.
    """

    address: str
    account: Account | None = None
    session_key: str = ""

    @property
    def user_id(self) -> UUID | None:
        """Whose account it is."""
        return None if self.account is None else self.account.id

    @property
    def session(self) -> UUID | str | None:
        """The session of the API, or the key of that of the back office."""
        return None if self.account is None else self.account.session_id or self.session_key


class Listener:
    """One connection of that `kind`, with the messages that wait for it.

    `opened` is on the clock of time.monotonic, as is `quiet_since`, when it began to wait.
    """

    __slots__ = (
        "_arrived",
        "_number",
        "_waiting",
        "ending",
        "kind",
        "opened",
        "quiet_since",
        "request_id",
        "subscriptions",
    )

    def __init__(self, *, kind: str, request_id: str = "") -> None:
        self.kind, self.request_id = kind, request_id
        self.opened = self.quiet_since = time.monotonic()
        self.ending: Ending | None = None
        self.subscriptions: list[Subscription] = []
        # By the product, or the number of those without one.
        self._waiting: dict[UUID | int, Message | Reply] = {}
        self._number = 0
        self._arrived: asyncio.Future[None] | None = None

    def put(self, message: Message | Reply, *, product_id: UUID | None = None) -> None:
        """Let the message wait, unless it has ended; it ends if too many wait already.

        A state of a product takes the place of an older one.
        """
        if self.ending is not None:
            return
        if product_id is not None:
            self._waiting.pop(product_id, None)  # the later message is sent later
            self._waiting[product_id] = message
        elif self._number >= MOST_WAITING:
            self.end(Ending.TOO_SLOW)
            return
        else:
            self._waiting[self._number] = message
            self._number += 1
        self.wake()

    def end(self, ending: Ending) -> None:
        """End the stream as soon as possible; only the first reason counts."""
        if self.ending is None:
            self.ending = ending
            self.wake()

    def end_gone(self, _: object) -> None:
        """The client has closed the connection; for a future's callback."""
        self.end(Ending.GONE)

    def arrival(self) -> asyncio.Future[None]:
        """Done once a message waits, at the end, or when it is time for a heartbeat."""
        self.quiet_since = time.monotonic()
        arrived = self._arrived = asyncio.get_running_loop().create_future()
        if self._waiting or self.ending is not None:
            self.wake()
        return arrived

    def wake(self) -> None:
        """Let the connection look what there is to send: without messages, a heartbeat."""
        arrived, self._arrived = self._arrived, None
        if arrived is not None and not arrived.done():
            arrived.set_result(None)

    def take(self) -> Sequence[Message | Reply]:
        """All messages that wait."""
        if self.ending is Ending.TOO_SLOW:
            return []
        found, self._waiting, self._number = self._waiting, {}, 0
        return list(found.values())

    @property
    def is_behind(self) -> bool:
        """Whether so much waits that reading for it should pause."""
        return len(self._waiting) > MOST_WAITING // 2


@dataclass(eq=False, kw_only=True, slots=True)
class Subscription:
    """What a listener follows, but for the topics that it has `left_out` since.

    `after` is the place up to which it was read from the log for this subscription alone, by the
    task `behind` if it still is, and `position` the one to go on from until then. `sent_meanwhile`
    are the products whose stock was sent while that of what it has missed is looked up.
    """

    listener: Listener
    interest: Interest
    after: Place | None = None
    position: UUID = NOTHING
    behind: asyncio.Task[None] | None = None
    left_out: frozenset[Topic] = frozenset()
    sent_meanwhile: set[UUID] | None = None

    def wants(self, event: FeedEvent) -> bool:
        """Whether an event of its scope is to be sent."""
        is_new = self.after is None or event.place > self.after
        return is_new and topic_of(event) not in self.left_out and self.interest.includes(event)

    @property
    def wants_stock(self) -> bool:
        """Whether the stock is to be sent."""
        return Topic.INVENTORY in self.interest.topics - self.left_out


class TooManyStreams(TooManyRequests):
    """As many streams are open from this address or account as may be."""

    code = "too_many_streams"


class Connections:
    """The open connections of this process.

    An address may have `of_address` of them, an account `of_account`.
    """

    def __init__(self, *, of_address: int, of_account: int) -> None:
        self._of_address, self._of_account = of_address, of_account
        self._open: dict[Listener, Caller] = {}
        self._by_key: dict[str | UUID, set[Listener]] = {}

    def listeners(self) -> list[Listener]:
        """Those that are open now."""
        return list(self._open)

    def all(self) -> list[tuple[Listener, Caller]]:
        """Those that are open now, with whose they are."""
        return list(self._open.items())

    def of_user(self, user_id: UUID) -> list[tuple[Listener, Caller]]:
        """Those of the user."""
        return [(each, self._open[each]) for each in self._by_key.get(user_id, ())]

    def add(self, listener: Listener, caller: Caller) -> None:
        """Count the connection as the caller's. Raises TooManyStreams."""
        if len(self._by_key.get(caller.address, ())) >= self._of_address or (
            caller.user_id is not None
            and len(self._by_key.get(caller.user_id, ())) >= self._of_account
        ):
            raise TooManyStreams
        self._open[listener] = caller
        for key in _keys(caller):
            self._by_key.setdefault(key, set()).add(listener)

    def remove(self, listener: Listener) -> Caller | None:
        """Forget the connection; whose it was, None if it was not counted."""
        caller = self._open.pop(listener, None)
        for key in _keys(caller) if caller else ():
            self._by_key[key].remove(listener)
            if not self._by_key[key]:
                del self._by_key[key]
        return caller


def _keys(caller: Caller) -> list[str | UUID]:
    return [caller.address] if caller.user_id is None else [caller.address, caller.user_id]
