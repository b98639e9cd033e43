"""The ASGI application of the web process."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from contextlib import nullcontext
from functools import cache
from typing import Any, TypeAlias, TypeVar

import structlog
from a2wsgi import WSGIMiddleware
from django.conf import settings

from oms.fastpath import placing
from oms.fastpath.batcher import Batcher
from oms.fastpath.connections import prepare_connection
from oms.fastpath.dispatch import WORK, Work, accept, answer
from oms.fastpath.process_lock import ProcessLock
from oms.fastpath.routes import is_fast_path
from oms.fastpath.types import FastPathAnswer, FastPathCall, FastPathRequest, weight_of
from oms.fastpath.wakeups import Waker
from oms.fastpath.webhooks import GATHERING, HotWebhook, accept_webhook, hear, is_webhook
from oms.queue.wakeups import collected_wakeups

log = structlog.get_logger(__name__)

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Call = TypeVar("Call")

# A tenth of Python's own: a request is taken in while a batch is decided.
_SWITCH_SECONDS = 0.0005


class Application:
    """Answers hot routes from batches, and all others with Django on a pool of threads."""

    def __init__(self, django: Any) -> None:
        self._django: Any = WSGIMiddleware(django, workers=settings.WEB_THREADS)
        # Empty before the start and from the shutdown on: Django answers then.
        self._batchers: dict[Work, Batcher[FastPathCall, FastPathAnswer | None]] = {}
        self._webhooks: Batcher[HotWebhook, FastPathAnswer | None] | None = None
        self._waker: Waker | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        # CGI's names cannot tell X_Forwarded_For from X-Forwarded-For, which our proxy has set.
        scope["headers"] = [header for header in scope["headers"] if b"_" not in header[0]]
        method, path = scope["method"], scope["path"]
        if self._batchers and (is_fast_path(method, path) or is_webhook(method, path)):
            await self._answer(scope, receive, send)
        else:
            await self._django(scope, _coroutines(receive), send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        # What was loaded so far stays for good, so the collector need not look at it ever again.
        gc.freeze()
        # The loop shares Python with the threads of the batches, and each waits for that long.
        sys.setswitchinterval(_SWITCH_SECONDS)
        if settings.FAST_PATH:
            self._waker = Waker()
            turns = ProcessLock(settings.VAR_DIR / "turns")
            for work in set(WORK.values()):
                self._batchers[work] = Batcher(
                    self._answers,
                    name=work.__name__,
                    limit=settings.FAST_PATH_BATCH,
                    weight=weight_of,
                    turn=turns.mine if work is placing.place else nullcontext,
                )
            self._webhooks = Batcher(
                self._heard, name="hear", limit=settings.FAST_PATH_BATCH, pause=GATHERING
            )
        await send({"type": "lifespan.startup.complete"})
        await receive()
        batchers, self._batchers = self._batchers, {}
        for batcher in (*batchers.values(), self._webhooks):
            if batcher is not None:
                await batcher.close()
        if self._waker is not None:
            await asyncio.to_thread(self._waker.close)
        await send({"type": "lifespan.shutdown.complete"})

    def _answers(self, calls: Sequence[FastPathCall]) -> list[FastPathAnswer | None]:
        return self._worked_off(answer, calls)

    def _heard(self, calls: Sequence[HotWebhook]) -> list[FastPathAnswer | None]:
        return self._worked_off(hear, calls)

    def _worked_off(
        self, work: Callable[[Sequence[Call]], list[FastPathAnswer | None]], calls: Sequence[Call]
    ) -> list[FastPathAnswer | None]:
        """On a batcher's thread: answer the calls, and let workers be woken from another one."""
        prepare_connection()
        with collected_wakeups() as tasks:
            try:
                return work(calls)
            finally:  # some may have been committed before the others failed
                if tasks and self._waker is not None:
                    self._waker.wake(tasks)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        is_get = scope["method"] == "GET"
        announced = headers.get("content-length", "0" if is_get else "unknown")
        limit = 0 if is_get else settings.API_BULK_BODY_LIMIT
        is_unclear = len(headers) != len(scope["headers"]) or "transfer-encoding" in headers
        # A body that is too large, or of unknown size, is refused by Django before it is read.
        if is_unclear or not announced.isdecimal() or int(announced) > limit:
            await self._django(scope, _coroutines(receive), send)
            return
        body = b"" if is_get else await _body(receive)
        if len(body) != int(announced):  # the client has gone in the middle of it
            return
        request = FastPathRequest(
            method=scope["method"],
            path=scope["path"],
            query=scope["query_string"],
            headers=headers,
            body=body,
            scheme=scope["scheme"],
            remote_address=scope["client"][0] if scope.get("client") else "",
        )
        if is_webhook(request.method, request.path):
            done = await self._answer_to_webhook(request)
        else:
            done = await self._answer_to_call(request)
        if done is None:
            await self._django(scope, _again(body, receive), send)
            return
        await _send(done, send)

    async def _answer_to_call(self, request: FastPathRequest) -> FastPathAnswer | None:
        call = accept(request)
        batcher = None if call is None else self._batchers.get(WORK[call.action])
        if call is None or batcher is None:
            return None
        try:
            return await batcher.submit(call)
        except Exception:  # a bug of ours, which Django would answer in the same words
            log.exception("request_failed", method=request.method, path=request.path)
            return call.failed()

    async def _answer_to_webhook(self, request: FastPathRequest) -> FastPathAnswer | None:
        call = accept_webhook(request)
        if call is None or self._webhooks is None or not self._batchers:
            return None
        return await self._webhooks.submit(call)


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
    """What gives the body that was received once more, and then whatever comes."""
    messages = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive_again() -> Message:
        return next(messages, None) or await receive()

    return receive_again


async def _send(answer: FastPathAnswer, send: Send) -> None:
    headers = [(_in_bytes(name), value.encode("latin-1")) for name, value in answer.headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


# There are a few dozen.
@cache
def _in_bytes(name: str) -> bytes:
    return name.lower().encode("latin-1")
