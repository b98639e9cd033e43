"""The ASGI application of the web process."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any, Protocol

import structlog
from django.conf import settings

from oms.api.handlers import ApiAnswer, Handler
from oms.core.deadline import arrived_at, deadline_in
from oms.core.liveness import HEARTBEAT_SECONDS, beat, closing_file
from oms.fastpath.answers import (
    Answers,
    failed_answer,
    health_answer,
    problem_answer,
    start_of,
)
from oms.fastpath.batcher import Batcher, BatchStalled
from oms.fastpath.batches import answer_batch
from oms.fastpath.calls import FastPathCall, accept
from oms.fastpath.connections import prepare_connection
from oms.fastpath.django_threads import DjangoThreads
from oms.fastpath.middleware import check_middleware
from oms.fastpath.process_lock import HeldLock, ProcessLock
from oms.fastpath.requests import (
    ClientGone,
    FastPathRequest,
    Message,
    Receive,
    Scope,
    Send,
    receive_body,
    request_of,
)
from oms.fastpath.routes import find_route, routes
from oms.fastpath.silent_connections import ConnectionWatch
from oms.fastpath.wakeups import WakeUpSender
from oms.http.health import add_dependency, remove_dependency
from oms.http.problems import problem_of_fault, problem_of_refusal, problem_of_status
from oms.queue.wakeups import wakeups_sent_by

log = structlog.get_logger(__name__)

# In /health/ready.
_DEPENDENCY = "fast_path"
# A batch that takes longer is reported there.
_STALLED_SECONDS = 2.0
# Answered on threads of their own, so also while requests of clients hold all others.
_FOR_OPERATORS = frozenset({"/health/ready", "/metrics"})
_WATCH_SECONDS = 1.0
# Until one has begun after a handshake.
_LOOKS = 2
_WATCH_STOPPING_SECONDS = 0.1
_SLOW = "The body did not arrive in time."
# A tenth of Python's own: a request is received while a batch is decided.
_SWITCH_SECONDS = 0.0005


class Streams(Protocol):
    """What serves streams of events: oms/streams/server.py."""

    def takes_events(self, request: FastPathRequest) -> bool: ...
    def takes_web_socket(self, request: FastPathRequest) -> bool: ...
    async def serve_events(
        self, request: FastPathRequest, receive: Receive, send: Send
    ) -> ApiAnswer | None: ...
    async def serve_web_socket(
        self, request: FastPathRequest, receive: Receive, send: Send
    ) -> None: ...
    def stop(self) -> None: ...
    async def close(self) -> None: ...


class Application:
    """Answers hot routes in batches, streams as they flow, and all else with Django on threads."""

    def __init__(self, django: Any, *, streams: Callable[..., Streams]) -> None:
        self._django = DjangoThreads(django, workers=settings.WEB_THREADS)
        self._operators = DjangoThreads(django, workers=2)
        # Empty before the start and from the shutdown on: Django answers then.
        self._batchers: dict[type[Handler], Batcher[FastPathCall, ApiAnswer | None]] = {}
        self._wakeups: WakeUpSender | None = None
        self._resources = ExitStack()
        self._connections = ConnectionWatch(port=settings.PORT)
        # Set after each look at the connections.
        self._looked = asyncio.Event()
        self._make_streams = streams
        # From the start to the shutdown.
        self._streams: Streams | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._run_lifespan(receive, send)
            return
        if scope["type"] == "websocket":
            await self._serve_web_socket(scope, receive, send)
            return
        if scope.get("client"):
            self._connections.note_request(scope["client"])
        # CGI's names do not distinguish X_Forwarded_For from X-Forwarded-For, which our proxy sets.
        scope["headers"] = [header for header in scope["headers"] if b"_" not in header[0]]
        request = request_of(scope)
        healthy = health_answer(request) if request.path == "/health" else None
        if healthy is not None:
            await _send(healthy, send)
        elif self._streams is not None and self._streams.takes_events(request):
            scope.clear()  # for the memory of thousands that stay open
            refusal = await self._streams.serve_events(request, receive, send)
            if refusal is not None:
                await _send(refusal, send)
        else:
            await self._answer(scope, receive, send, request=request)

    async def _run_lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        # What was loaded so far stays for good, so the garbage collector can skip it.
        gc.freeze()
        # The loop shares Python with the threads of the batches, and each waits for that long.
        sys.setswitchinterval(_SWITCH_SECONDS)
        if settings.FAST_PATH:
            self._start()
        self._streams = self._make_streams(cut=self._connections.cut)
        periodic = [
            asyncio.create_task(each)
            for each in (_beat(), self._watch_connections(), self._watch_stopping())
        ]
        await send({"type": "lifespan.startup.complete"})
        await receive()
        for task in periodic:
            task.cancel()
        await self._streams.close()
        await self._stop()
        await send({"type": "lifespan.shutdown.complete"})

    async def _watch_connections(self) -> None:
        """Close connections on which no request arrives, for ever."""
        while True:
            await asyncio.sleep(_WATCH_SECONDS)
            began = time.monotonic()
            try:
                present = await asyncio.to_thread(self._connections.look)
            except Exception:  # a bug, which must not end the watch
                log.exception("connections_not_watched")
                continue
            if present is not None:
                self._connections.forget_ended(present, before=began)
            looked, self._looked = self._looked, asyncio.Event()
            looked.set()

    async def _watch_stopping(self) -> None:
        """End the streams when the server is about to close its port."""
        closing = closing_file(settings.RUN_DIR, os.getppid())
        while self._streams is not None and not closing.exists():
            await asyncio.sleep(_WATCH_STOPPING_SECONDS)
        if self._streams is not None:
            self._streams.stop()

    async def _serve_web_socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = request_of(scope)
        if self._streams is None or not self._streams.takes_web_socket(request):
            await send({"type": "websocket.close"})  # answered with 403
            return
        scope.clear()
        self._connections.note_web_socket(request.client)
        # Where requests came before, on connections that a proxy uses again.
        for _ in range(_LOOKS):
            if not self._connections.counts(request.client):
                await self._looked.wait()

        async def receive_noted() -> Message:
            message = await receive()
            size = len((message.get("text") or "").encode()) + len(message.get("bytes") or b"")
            self._connections.note_message(request.client, size=size)
            return message

        await self._streams.serve_web_socket(request, receive_noted, send)

    def _start(self) -> None:
        check_middleware()
        self._wakeups = WakeUpSender()
        self._resources.enter_context(wakeups_sent_by(self._wakeups.wake))
        add_dependency(_DEPENDENCY, self._check_progress)
        lock = ProcessLock(settings.VAR_DIR / "process-lock")
        for handler in {route.fast_path.handler for route in routes().values()}:
            self._batchers[handler] = Batcher(
                _work,
                name=handler.__name__,
                limit=settings.FAST_PATH_BATCH,
                deadline=settings.FAST_PATH_DEADLINE,
                weight=lambda call: call.weight,
                # Calls that can wait do not take turns with those that cannot.
                lock=lock if handler.is_write and not handler.pause else None,
                pause=handler.pause,
            )

    async def _stop(self) -> None:
        batchers, self._batchers = self._batchers, {}
        remove_dependency(_DEPENDENCY)
        for batcher in batchers.values():
            await batcher.close()
        self._resources.close()
        if self._wakeups is not None:
            await asyncio.to_thread(self._wakeups.close)

    def _check_progress(self) -> float:
        """The present moment. Raises TimeoutError while a batch takes suspiciously long."""
        if any(b.busy_seconds() > _STALLED_SECONDS for b in self._batchers.values()):
            raise TimeoutError
        return time.monotonic()

    async def _answer(
        self, scope: Scope, receive: Receive, send: Send, *, request: FastPathRequest
    ) -> None:
        call = self._accepted(request, has_repeated=len(request.headers) != len(scope["headers"]))
        # Read in any case, for a client that is still sending would not see the answer.
        try:
            request.body = await receive_body(request, receive)
        except ClientGone:
            return
        except TimeoutError:
            await _send(problem_answer(request, problem_of_status(408, detail=_SLOW)), send)
            return
        answer = None if call is None else await self._batched(call)
        if answer is not None:
            await _send(answer, send)
            return
        django = self._operators if request.path in _FOR_OPERATORS else self._django
        late = await django.answer(scope, send, request=request)
        if late is not None:
            await _send(problem_answer(request, problem_of_refusal(late)), send)

    def _accepted(self, request: FastPathRequest, *, has_repeated: bool) -> FastPathCall | None:
        """The call of a hot route; None for what is left to Django."""
        route, id = find_route(request.method, request.path)
        # One header twice has no clear meaning.
        if route is None or not self._batchers or has_repeated:
            return None
        return accept(request, route=route, id=id)

    async def _batched(self, call: FastPathCall) -> ApiAnswer | None:
        batcher = self._batchers.get(call.route.fast_path.handler)
        if batcher is None:
            return None
        try:
            return await batcher.submit(call)
        except BatchStalled as error:
            return failed_answer(call, problem_of_refusal(error))
        except Exception:  # a bug; Django would respond with the same problem
            log.exception("request_failed", method=call.request.method, path=call.path)
            return failed_answer(call, problem_of_fault())


async def _beat() -> None:
    """Show for ever that the event loop is not blocked."""
    while True:
        beat(settings.RUN_DIR)
        await asyncio.sleep(HEARTBEAT_SECONDS)


def _work(calls: Sequence[FastPathCall], lock: HeldLock | None) -> Answers:
    first = min(call.request.arrived for call in calls)
    with (
        deadline_in(seconds=settings.FAST_PATH_DEADLINE),
        # What a call has waited for earlier batches counts.
        arrived_at(first),
        deadline_in(seconds=settings.REQUEST_DEADLINE),
    ):
        prepare_connection()
        return answer_batch(calls, lock=lock)


async def _send(answer: ApiAnswer, send: Send) -> None:
    await send(start_of(answer))
    await send({"type": "http.response.body", "body": answer.body})
