"""The ASGI application of the web process."""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from contextlib import ExitStack
from functools import cache
from typing import Any, TypeAlias
from uuid import UUID

import structlog
from a2wsgi import WSGIMiddleware
from django.conf import settings

from oms.api.handlers import ApiAnswer, Handler
from oms.core.liveness import HEARTBEAT_SECONDS, beat
from oms.fastpath.answers import Answers, failed_answer
from oms.fastpath.batcher import Batcher, BatchStalled
from oms.fastpath.batches import answer_batch
from oms.fastpath.calls import FastPathCall, accept
from oms.fastpath.connections import prepare_connection
from oms.fastpath.middleware import check_middleware
from oms.fastpath.process_lock import HeldLock, ProcessLock
from oms.fastpath.requests import FastPathRequest
from oms.fastpath.routes import Route, find_route, routes
from oms.fastpath.wakeups import WakeUpSender
from oms.http.health import add_dependency, remove_dependency
from oms.http.problems import problem_of_fault, problem_of_refusal
from oms.queue.wakeups import wakeups_sent_by

log = structlog.get_logger(__name__)

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

# In /health/ready.
_DEPENDENCY = "fast_path"
# A batch that takes longer is reported there.
_STALLED_SECONDS = 2.0
# A tenth of Python's own: a request is received while a batch is decided.
_SWITCH_SECONDS = 0.0005


class Application:
    """Answers hot routes in batches, and all others with Django on a pool of threads."""

    def __init__(self, django: Any) -> None:
        self._django: Any = WSGIMiddleware(django, workers=settings.WEB_THREADS)
        # Empty before the start and from the shutdown on: Django answers then.
        self._batchers: dict[type[Handler], Batcher[FastPathCall, ApiAnswer | None]] = {}
        self._wakeups: WakeUpSender | None = None
        self._resources = ExitStack()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._run_lifespan(receive, send)
            return
        # CGI's names do not distinguish X_Forwarded_For from X-Forwarded-For, which our proxy sets.
        scope["headers"] = [header for header in scope["headers"] if b"_" not in header[0]]
        route, id = find_route(scope["method"], scope["path"])
        if self._batchers and route is not None:
            await self._answer(scope, receive, send, route=route, id=id)
        else:
            await self._django(scope, _coroutines(receive), send)

    async def _run_lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        # What was loaded so far stays for good, so the garbage collector can skip it.
        gc.freeze()
        # The loop shares Python with the threads of the batches, and each waits for that long.
        sys.setswitchinterval(_SWITCH_SECONDS)
        if settings.FAST_PATH:
            self._start()
        heartbeat = asyncio.create_task(_beat())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        heartbeat.cancel()
        await self._stop()
        await send({"type": "lifespan.shutdown.complete"})

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
        self, scope: Scope, receive: Receive, send: Send, *, route: Route, id: UUID | None
    ) -> None:
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        is_get = scope["method"] == "GET"
        announced = headers.get("content-length", "0" if is_get else "unknown")
        limit = 0 if is_get else settings.API_BULK_BODY_LIMIT
        # One header twice has no clear meaning.
        is_unclear = len(headers) != len(scope["headers"]) or "transfer-encoding" in headers
        # A body that is too large, or of unknown size, is refused by Django before it is read.
        if is_unclear or not announced.isdecimal() or int(announced) > limit:
            await self._django(scope, _coroutines(receive), send)
            return
        request = FastPathRequest(
            method=scope["method"],
            path=scope["path"],
            query=scope["query_string"],
            headers=headers,
            scheme=scope["scheme"],
            remote_address=scope["client"][0] if scope.get("client") else "",
        )
        call = accept(request, route=route, id=id)
        # Read in any case, for a client that is still sending would not see the answer.
        request.body = b"" if is_get else await _body(receive)
        if len(request.body) != int(announced):  # the client has gone in the middle of it
            return
        answer = None if call is None else await self._batched(call)
        if answer is None:
            await self._django(scope, _again(request.body, receive), send)
        else:
            await _send(answer, send)

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
    prepare_connection()
    return answer_batch(calls, lock=lock)


async def _body(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


def _coroutines(receive: Receive) -> Receive:
    """`receive` as a coroutine function, which servers need not give but a2wsgi wants."""

    async def received() -> Message:
        return await receive()

    return received


def _again(body: bytes, receive: Receive) -> Receive:
    """`receive` with the body that was received already, then later messages."""
    messages = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive_again() -> Message:
        return next(messages, None) or await receive()

    return receive_again


async def _send(answer: ApiAnswer, send: Send) -> None:
    headers = [(_in_bytes(name), value.encode("latin-1")) for name, value in answer.headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


# There are a few dozen.
@cache
def _in_bytes(name: str) -> bytes:
    return name.lower().encode("latin-1")
