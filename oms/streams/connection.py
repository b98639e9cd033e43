"""What Server-Sent Events and WebSockets have in common: the open connections of a process."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar
from uuid import UUID

import structlog
from django.conf import settings
from prometheus_client import Counter, Gauge

from oms.core.errors import OperationError, Unavailable
from oms.fastpath.connections import prepare_connection
from oms.fastpath.silent_connections import Client
from oms.http.problems import Problem, problem_of, problem_of_fault
from oms.streams.broadcast import Broadcast
from oms.streams.feed import FeedPage, latest_position
from oms.streams.listeners import Caller, Connections, Ending, Listener, Subscription
from oms.streams.queries import Refused, no_such_event
from oms.streams.topics import Interest
from oms.users.access_tokens import sessions_still_open

log = structlog.get_logger(__name__)

T = TypeVar("T")

_READERS = 2
_BEGIN_SECONDS = 5.0
# Below the time after which proxies close idle connections, usually 60 seconds: what the server
# sends keeps them open.
_HEARTBEAT_SECONDS = 15.0
_BEAT_SECONDS = 0.2
# How often it is looked whether sessions have expired.
_SESSIONS_SECONDS = 5.0
# For the back office, whose sessions may end without an event.
_BACK_OFFICE_SECONDS = 300.0

_OPEN = Gauge(
    "oms_open_streams",
    "Streams and WebSockets that are open",
    labelnames=["kind"],
    multiprocess_mode="livesum",
)
_ENDED = Counter("oms_ended_streams", "Streams and WebSockets that have ended", ["kind", "reason"])


class Streams:
    """The streams of this process; to be made on its event loop.

    `cut` closes the connection of a client that does not read what waits for it.
    """

    def __init__(self, *, cut: Callable[[Client], None]) -> None:
        self.cut = cut
        self.is_stopping = False
        for kind in ("sse", "websocket"):
            _OPEN.labels(kind).set(0)  # a container that was killed had the same process ids
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="streams")
        self._connections = Connections(
            of_address=settings.STREAMS_PER_ADDRESS, of_account=settings.STREAMS_PER_ACCOUNT
        )
        self.broadcast = Broadcast(connections=self._connections, read=self.in_thread)
        self._tasks = [asyncio.create_task(each) for each in (self._beat(), self._end_expired())]

    async def close(self) -> None:
        """End all streams and the threads."""
        self.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.to_thread(self.broadcast.close)
        self._readers.shutdown(wait=False)

    def stop(self) -> None:
        """Let all streams end, and open no more: the process is going to stop."""
        self.is_stopping = True
        for listener, _ in self._connections.all():
            listener.end(Ending.RESTART)

    async def in_thread(self, function: Callable[..., T], *arguments: Any, **named: Any) -> T:
        """The result of a function that reads from the database."""

        def run() -> T:
            prepare_connection()
            return function(*arguments, **named)

        return await asyncio.get_running_loop().run_in_executor(self._readers, run)

    async def connect(self, listener: Listener, caller: Caller) -> None:
        """Count the listener as the caller's and follow the log, until `disconnect`.

        Raises TooManyStreams, and Unavailable when the process is stopping or can't read the log.
        """
        if self.is_stopping:
            raise Unavailable
        self._connections.add(listener, caller)
        _OPEN.labels(listener.kind).inc()
        self.broadcast.follow()
        await self.broadcast.begun(seconds=_BEGIN_SECONDS)

    def disconnect(self, listener: Listener) -> None:
        """End what the listener has subscribed to, and forget it."""
        for subscription in list(listener.subscriptions):
            self.unsubscribe(subscription)
        if not self._connections.remove(listener):
            return  # it was refused
        self.broadcast.leave()
        _OPEN.labels(listener.kind).dec()
        _ENDED.labels(listener.kind, (listener.ending or Ending.GONE).name.lower()).inc()

    async def beginning(
        self, interest: Interest, *, after: UUID | None
    ) -> tuple[UUID, FeedPage | None]:
        """The position from which on nothing is missed, for `subscribe`, and what follows it.

        Without `after` the present one. Of a customer's own events: others would show when somebody
        else buys. Raises EventsArchived, and LookupError for an id that no event has.
        """
        scope = interest.scope
        if after is None and (scope is None or scope.customer_id is None):
            return self.broadcast.position, None
        position = after
        if position is None:
            position = await self.in_thread(latest_position, scope)
        # While it was read, the live subscriptions may have got more.
        return position, await self.broadcast.first_page(interest, after=position)

    def subscribe(
        self, listener: Listener, interest: Interest, *, after: UUID | None, page: FeedPage | None
    ) -> Subscription:
        """Let the listener have what it is interested in.

        All that follows the `page` that `beginning` has found, or what happens from now on. The
        stock is what has changed since `after`.
        """
        subscription = Subscription(listener=listener, interest=interest)
        listener.subscriptions.append(subscription)
        if after is None and page is None:
            self.broadcast.begin(subscription)
        else:
            subscription.behind = asyncio.create_task(
                self._catch_up(subscription, after=after, page=page)
            )
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Let it have nothing more."""
        subscription.listener.subscriptions.remove(subscription)
        if subscription.behind is not None:
            subscription.behind.cancel()
        self.broadcast.end(subscription)

    async def _catch_up(
        self, subscription: Subscription, *, after: UUID | None, page: FeedPage | None
    ) -> None:
        try:
            await self.broadcast.catch_up(subscription, after=after, page=page)
        except Exception as error:  # such as a lost database; the client can resume
            log.warning("stream_interrupted", error=type(error).__name__)
            subscription.listener.end(Ending.RESTART)
        subscription.behind = None

    async def _beat(self) -> None:
        """Wake for ever what has had nothing to send: thousands of timers would take memory."""
        while True:
            await asyncio.sleep(_BEAT_SECONDS)
            latest = time.monotonic() - _HEARTBEAT_SECONDS
            for listener, _ in self._connections.all():
                if listener.quiet_since < latest:
                    listener.wake()

    async def _end_expired(self) -> None:
        """End for ever what belongs to sessions that have ended without an event."""
        while True:
            await asyncio.sleep(_SESSIONS_SECONDS)
            by_session: dict[UUID, list[tuple[Listener, Caller]]] = {}
            for listener, caller in self._connections.all():
                if caller.session_id is not None:
                    by_session.setdefault(caller.session_id, []).append((listener, caller))
                elif caller.user_id is not None and (
                    time.monotonic() - listener.opened > _BACK_OFFICE_SECONDS
                ):
                    listener.end(Ending.RESTART)
            if not by_session:
                continue
            try:
                still_open = await self.in_thread(sessions_still_open, list(by_session))
            except Exception as error:  # such as a lost database; it looks again
                log.warning("stream_sessions_unknown", error=type(error).__name__)
                continue
            for session_id, found in by_session.items():
                for listener, caller in found:
                    if session_id not in still_open:
                        listener.end(Ending.SIGNED_OUT)
                    elif caller.is_staff != still_open[session_id]:
                        # Changed while the stream was being opened.
                        listener.end(Ending.RESTART)


def fault_of(error: Exception) -> Problem:
    """The problem for what was raised while a stream was opened."""
    if isinstance(error, Refused):
        return error.problem
    if isinstance(error, LookupError) and not isinstance(error, OperationError):
        error = no_such_event()
    problem = problem_of(error)
    if problem is None:
        log.error("stream_failed", exc_info=error)
        return problem_of_fault()
    return problem


def retry_milliseconds() -> int:
    """After which pause a client should connect again: not all of them at once."""
    return random.randint(1_000, 5_000)  # no secret
