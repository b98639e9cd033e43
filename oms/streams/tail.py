"""Reads what the log gains, on one thread of each process, while somebody listens.

Commits wake it over Redis. A wake-up that is lost, or all of them while Redis is away, cost a
second, for it looks at least that often.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Event as Flag
from threading import Thread
from uuid import UUID

import structlog
from django.db import connections

from inventory.events import ProductChanged, ProductCreated, StockAdjusted
from notifications.events import NotificationCreated
from oms.events.publishing import RELAY_TASK
from oms.fastpath.connections import prepare_connection
from oms.queue.wakeups import WakeUpListener
from oms.streams.feed import FeedPage, FeedScope, end_of_log, read_on
from oms.streams.stock import ProductState, products_of, states_of
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


@dataclass(frozen=True, kw_only=True)
class Progress:
    """The next page of the log, in the order of commits.

    `round` is the one that was begun by `listen`; `stock` is what is new of the stock.
    """

    round: int
    page: FeedPage
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
        self._changed: set[UUID] = set()
        self._stock_sent_at = 0.0
        self._known: dict[UUID, ProductState] = {}
        self._thread = Thread(target=self._run, name="log-tail", daemon=True)
        self._thread.start()

    def listen(self) -> int:
        """Begin at the present end of the log; the number of the round that begins."""
        self._round += 1
        self._listening.set()
        return self._round

    def rest(self) -> None:
        """Stop reading, because nobody listens."""
        self._listening.clear()

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
            if page.is_full:
                continue
            if now < busy_until:
                time.sleep(_BUSY_SECONDS)
            elif woken.wait(seconds=self._pause(now)):
                busy_until = time.monotonic() + _BUSY_FOR

    def _next_page(self) -> FeedPage:
        """Deliver the next page; what fails is read again."""
        prepare_connection()
        reading = self._round
        if self._page is None or reading != self._reading:
            self._changed.clear()
            self._known.clear()
            page = end_of_log()
        else:
            page = read_on(_SCOPE, last=self._page, limit=_LIMIT)
        self._deliver(Progress(round=reading, page=page, stock=self._stock(page)))
        self._page, self._reading = page, reading
        return page

    def _pause(self, now: float) -> float:
        if not self._changed:
            return _IDLE_SECONDS
        return max(_BUSY_SECONDS, self._stock_sent_at + _STOCK_SECONDS - now)

    def _stock(self, page: FeedPage) -> Sequence[ProductState]:
        """The new states of products, if they are due."""
        if not self.follows_stock:
            self._changed.clear()
            self._known.clear()
            return ()
        self._changed |= products_of(page.events)
        now = time.monotonic()
        if not self._changed or now < self._stock_sent_at + _STOCK_SECONDS:
            return ()
        states = [s for s in states_of(self._changed) if self._known.get(s.product_id) != s]
        self._changed.clear()
        self._known.update((state.product_id, state) for state in states)
        self._stock_sent_at = now
        return states


_SCOPE = FeedScope(
    types=(*types_of_all_orders(), NotificationCreated.type, *_OF_PRODUCTS, *OF_ACCESS)
)
