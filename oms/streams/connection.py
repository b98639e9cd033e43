"""What Server-Sent Events and WebSockets have in common: the open connections of a process."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from contextvars import Context, copy_context
from typing import Any, TypeVar
from uuid import UUID

import structlog
from django.conf import settings
from django.db import connections
from prometheus_client import Counter, Gauge

from oms.core.deadline import deadline_in
from oms.core.errors import DeadlineExceeded, OperationError, Unavailable
from oms.fastpath.connections import prepare_connection
from oms.fastpath.requests import FastPathRequest
from oms.fastpath.silent_connections import Client
from oms.http.access_log import write
from oms.http.headers import DEADLINE, deadline_of
from oms.http.health import add_dependency, remove_dependency
from oms.http.problems import Problem, problem_of, problem_of_fault
from oms.streams.broadcast import Broadcast
from oms.streams.callers import accounts_of, count_missed_stock
from oms.streams.feed import FeedPage, latest_position
from oms.streams.listeners import Caller, Connections, Ending, Listener, Subscription
from oms.streams.queries import Refused, no_such_event
from oms.streams.topics import Interest, Topic

log = structlog.get_logger(__name__)

T = TypeVar("T")

_READERS = 2
# How long PostgreSQL may take for one of their reads.
_READ_SECONDS = 10.0
_BEGIN_SECONDS = 5.0
# Below the time after which proxies close idle connections, usually 60 seconds: what the server
# sends keeps them open.
_HEARTBEAT_SECONDS = 15.0
_BEAT_SECONDS = 0.2
# How often it is looked whether sessions have ended, or their accounts changed, without an event.
_SESSIONS_SECONDS = 5.0
# In /health/ready, where a lag that is longer is reported.
_DEPENDENCY = "streams"
_LONG_LAG = 30.0

_OPEN = Gauge(
    "oms_open_streams",
    "Streams and WebSockets that are open",
    labelnames=["kind"],
    multiprocess_mode="livesum",
)
_ENDED = Counter("oms_ended_streams", "Streams and WebSockets that have ended", ["kind", "reason"])
_LAG = Gauge(
    "oms_streams_lag_seconds",
    "For how long a process with open streams has not read all of the event log",
    multiprocess_mode="livemax",
)


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
        # Its own, which does not wait for clients that connect.
        self._watcher = ThreadPoolExecutor(1, thread_name_prefix="stream-sessions")
        self._connections = Connections(
            of_address=settings.STREAMS_PER_ADDRESS, of_account=settings.STREAMS_PER_ACCOUNT
        )
        self.broadcast = Broadcast(connections=self._connections, read=self.in_thread)
        self._tasks = [asyncio.create_task(each) for each in (self._beat(), self._watch_sessions())]
        add_dependency(_DEPENDENCY, self._check_lag)

    async def close(self) -> None:
        """End all streams and the threads."""
        self.stop()
        remove_dependency(_DEPENDENCY)
        for task in self._tasks:
            task.cancel()
        await asyncio.to_thread(self.broadcast.close)
        self._readers.shutdown(wait=False)
        self._watcher.submit(connections.close_all)
        self._watcher.shutdown(wait=False)

    def stop(self) -> None:
        """Let all streams end, and open no more: the process is going to stop."""
        self.is_stopping = True
        for listener in self._connections.listeners():
            listener.end(Ending.RESTART)

    async def in_thread(self, function: Callable[..., T], *arguments: Any, **named: Any) -> T:
        """The result of a function that reads from the database, within the deadline if any."""
        return await self._run(self._readers, function, *arguments, **named)

    async def _run(
        self, threads: ThreadPoolExecutor, function: Callable[..., T], *arguments: Any, **named: Any
    ) -> T:
        def run() -> T:
            with deadline_in(seconds=_READ_SECONDS):
                prepare_connection()
                return function(*arguments, **named)

        return await asyncio.get_running_loop().run_in_executor(threads, copy_context().run, run)

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
        caller = self._connections.remove(listener)
        if caller is None:
            return  # it was refused
        self.broadcast.leave()
        _OPEN.labels(listener.kind).dec()
        ending = listener.ending or Ending.GONE
        _ENDED.labels(listener.kind, ending.reason).inc()
        line = {
            "kind": listener.kind,
            "reason": ending.reason,
            "close_code": ending.close_code if listener.kind == "websocket" else None,
            "duration_ms": round((time.monotonic() - listener.opened) * 1000, 1),
            "user_id": None if caller.user_id is None else str(caller.user_id),
            "request_id": listener.request_id,
        }
        write([line], event="stream_ended")

    async def beginning(
        self, interest: Interest, *, caller: Caller, after: UUID | None
    ) -> tuple[UUID, FeedPage | None]:
        """The position from which on nothing is missed, for `subscribe`, and what follows it.

        Without `after` the present one. Of a customer's own events: others would show when somebody
        else buys. Raises EventsArchived, LookupError for an id that no event has, and Refused.
        """
        scope = interest.scope
        if after is None and (scope is None or scope.customer_id is None):
            return self.broadcast.position, None
        if after is not None and Topic.INVENTORY in interest.topics and not interest.product_id:
            await self.in_thread(count_missed_stock, caller, after=after)
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
        if page is None:
            self.broadcast.begin(subscription)
        else:
            subscription.behind = asyncio.create_task(
                self._catch_up(subscription, after=after, page=page),
                context=Context(),  # without the deadline of the request
            )
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Let it have nothing more."""
        subscription.listener.subscriptions.remove(subscription)
        if subscription.behind is not None:
            subscription.behind.cancel()
        self.broadcast.end(subscription)

    async def _catch_up(
        self, subscription: Subscription, *, after: UUID | None, page: FeedPage
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
            _LAG.set(round(self.broadcast.seconds_behind(), 1))
            latest = time.monotonic() - _HEARTBEAT_SECONDS
            # Without a new object for each of thousands, which the garbage collector would count.
            for listener in self._connections.listeners():
                if listener.quiet_since < latest:
                    listener.wake()

    def _check_lag(self) -> float:
        """The present time. Raises TimeoutError while the log is not read."""
        if self.broadcast.seconds_behind() > _LONG_LAG:
            raise TimeoutError
        return time.monotonic()

    async def _watch_sessions(self) -> None:
        """End for ever what belongs to sessions that have ended, or to accounts that were changed.

        Most that does so is in the log; but not everything, or it was while the stream was opened.
        """
        while True:
            await asyncio.sleep(_SESSIONS_SECONDS)
            by_session: dict[UUID | str, list[tuple[Listener, Caller]]] = {}
            for listener, caller in self._connections.all():
                if caller.session is not None:
                    by_session.setdefault(caller.session, []).append((listener, caller))
            if not by_session:
                continue
            try:
                accounts = await self._run(self._watcher, accounts_of, list(by_session))
            except Exception as error:  # such as a lost database; it looks again
                log.warning("stream_sessions_unknown", error=type(error).__name__)
                continue
            for session, found in by_session.items():
                account = accounts.get(session)
                for listener, caller in found:
                    if account is None:
                        listener.end(Ending.SIGNED_OUT)
                    elif account != caller.account:
                        listener.end(Ending.RESTART)


@asynccontextmanager
async def deadline_of_request(request: FastPathRequest) -> AsyncIterator[None]:
    """Put the block under the deadline that the client wants, or that every request has.

    Raises DeadlineExceeded or Unavailable past it, and InvalidHeader.
    """
    wanted = deadline_of(request.headers.get(DEADLINE.lower()))
    left = request.arrived + (wanted or settings.REQUEST_DEADLINE) - time.monotonic()
    async with within(left, late=Unavailable if wanted is None else DeadlineExceeded):
        yield


@asynccontextmanager
async def within(
    seconds: float, *, late: type[OperationError] = Unavailable
) -> AsyncIterator[None]:
    """Limit the block, and what it reads from the database. Raises `late` past the limit."""
    try:
        with deadline_in(seconds=seconds):
            async with asyncio.timeout(seconds):
                yield
    except TimeoutError as error:
        raise late from error


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
