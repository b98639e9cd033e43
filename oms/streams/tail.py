"""Reads what the log gains, on one thread of each process, while somebody listens.

Commits wake it over Redis. A wake-up that is lost, or all of them while Redis is away, cost a
second, for it looks at least that often.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from threading import Event as Flag
from threading import Thread
from uuid import UUID

import structlog
from django.db import connections

from inventory.events import ProductChanged, ProductCreated, StockAdjusted
from notifications.events import NotificationCreated
from oms.core.deadline import deadline_in
from oms.events.publishing import RELAY_TASK
from oms.fastpath.connections import prepare_connection
from oms.queue.wakeups import WakeUpListener
from oms.streams.feed import NOTHING, FeedEvent, FeedPage, FeedScope, end_of_log, read_on
from oms.streams.stock import (
    ProductState,
    may_change_stock,
    products_of,
    states_of,
    states_since,
)
from oms.streams.topics import types_of_all_orders
from oms.users.events import GroupChanged, PasswordSet, SessionRevoked, UserChanged

log = structlog.get_logger(__name__)

# After which a stream may be no longer allowed.
OF_ACCESS = tuple(cls.type for cls in (SessionRevoked, UserChanged, PasswordSet, GroupChanged))
_OF_PRODUCTS = tuple(cls.type for cls in (ProductCreated, ProductChanged, StockAdjusted))

_LIMIT = 500
# Between two looks: while nothing happens, and shortly after a wake-up, whose event can be read
# only once older transactions have ended.
_IDLE_SECONDS = 1.0
_BUSY_SECONDS = 0.03
_BUSY_FOR = 0.3
# The stock of a product is sent at most so often.
_STOCK_SECONDS = 1.0
# As many events are kept that may have changed the stock, while it cannot be read.
_MOST_CHANGES = 10_000
# How long PostgreSQL may take for a page, or for the stock.
_READ_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class Progress:
    """The next page of the log, in the order of commits; or what is new of the stock.

    `round` is the one that was begun by `listen`.
    """

    round: int
    page: FeedPage | None = None
    stock: Sequence[ProductState] = ()


class LogTail:
    """Hands what the log gains to `deliver`, from the first `listen` to `rest`, and so on."""

    def __init__(self, deliver: Callable[[Progress], None]) -> None:
        self._deliver = deliver
        self._listening = Flag()
        self._closing = False
        self._round = self._reading = 0
        self._page: FeedPage | None = None
        self.follows_stock = False
        """Whether anybody listens to the inventory; set by the event loop."""
        # Since the stock was last looked up; or where they begin, if they are too many to be kept.
        self._changes: list[FeedEvent] = []
        self._changed_since: UUID | None = None
        self._stock_sent_at = 0.0
        # What was sent of the stock; nothing is sent twice in a row.
        self._known: dict[UUID, ProductState] = {}
        # When all of the log was read, by time.monotonic.
        self._complete_at = 0.0
        self._thread = Thread(target=self._run, name="log-tail", daemon=True)
        self._thread.start()

    def listen(self) -> int:
        """Begin at the present end of the log; the number of the round that begins."""
        self._round += 1
        self._complete_at = time.monotonic()
        self._listening.set()
        return self._round

    def rest(self) -> None:
        """Stop reading, because nobody listens."""
        self._listening.clear()

    def seconds_behind(self) -> float:
        """For how long not all of the log has been read, though somebody listens."""
        return time.monotonic() - self._complete_at if self._listening.is_set() else 0.0

    def forget_stock(self) -> None:
        """Send the next state of each product in any case: somebody may have got another one."""
        self._known = {}

    def close(self) -> None:
        """End the thread."""
        self._closing = True
        self._listening.set()
        self._thread.join()

    def _run(self) -> None:
        woken = WakeUpListener(RELAY_TASK)
        while not self._closing:
            self._listening.wait()
            try:
                self._follow(woken)
            except Exception as error:  # such as a lost database; begins where it was
                log.warning("log_tail_failed", error=type(error).__name__, exc_info=True)
                time.sleep(_IDLE_SECONDS)
        woken.close()
        connections.close_all()

    def _follow(self, woken: WakeUpListener) -> None:
        """Read on until nobody listens any more."""
        busy_until = 0.0
        while self._listening.is_set() and not self._closing:
            page = self._next_page()
            now = time.monotonic()
            if page.events:
                busy_until = now + _BUSY_FOR
            self._send_stock(now)
            if page.is_full:
                continue
            self._complete_at = now
            if now < busy_until:
                time.sleep(_BUSY_SECONDS)
            elif woken.wait(seconds=self._pause(now)):
                busy_until = time.monotonic() + _BUSY_FOR

    def _next_page(self) -> FeedPage:
        """Deliver the next page; what fails is read again."""
        reading = self._round
        with deadline_in(seconds=_READ_SECONDS):
            prepare_connection()
            if self._page is None or reading != self._reading:
                self._forget_changes()
                page = end_of_log()
            else:
                page = read_on(_SCOPE, last=self._page, limit=_LIMIT)
        self._deliver(Progress(round=reading, page=page))
        self._page, self._reading = page, reading
        self._changes += filter(may_change_stock, page.events)
        if len(self._changes) > _MOST_CHANGES:
            self._changed_since = self._changed_since or self._changes[0].id
            self._changes = []
        return page

    def _forget_changes(self) -> None:
        self._changes, self._changed_since, self._known = [], None, {}

    @property
    def _has_changes(self) -> bool:
        return bool(self._changes) or self._changed_since is not None

    def _pause(self, now: float) -> float:
        if not self._has_changes:
            return _IDLE_SECONDS
        return max(_BUSY_SECONDS, self._stock_sent_at + _STOCK_SECONDS - now)

    def _send_stock(self, now: float) -> None:
        """Deliver the new states of products, if they are due."""
        if not self.follows_stock:
            self._forget_changes()
        if not self._has_changes or now < self._stock_sent_at + _STOCK_SECONDS:
            return
        known = self._known  # the event loop may put another in its place
        for found in self._changed_states():
            states = [state for state in found if known.get(state.product_id) != state]
            known.update((state.product_id, state) for state in states)
            self._deliver(Progress(round=self._reading, stock=states))
        self._changes, self._changed_since, self._stock_sent_at = [], None, now

    def _changed_states(self) -> Iterator[Sequence[ProductState]]:
        if self._changed_since is None:
            with deadline_in(seconds=_READ_SECONDS):
                yield states_of(products_of(self._changes))
            return
        last: UUID | None = NOTHING
        while last is not None:
            with deadline_in(seconds=_READ_SECONDS):
                states, last = states_since(self._changed_since, beyond=last, limit=_LIMIT)
            yield states


_SCOPE = FeedScope(
    types=(*types_of_all_orders(), NotificationCreated.type, *_OF_PRODUCTS, *OF_ACCESS)
)
