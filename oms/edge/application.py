"""The ASGI application of the web process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any, TypeAlias

import structlog
from a2wsgi import WSGIMiddleware
from django.conf import settings

from oms.core.waking import gathering_wake_ups
from oms.edge.batching import Batcher
from oms.edge.lane import WORK, Work, accept, answer
from oms.edge.messages import HotAnswer, HotCall, HotRequest
from oms.edge.routes import is_hot
from oms.edge.waking import Waker

log = structlog.get_logger(__name__)

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]


class Application:
    """Answers hot routes from batches, and all others with Django on a pool of threads."""

    def __init__(self, django: Any) -> None:
        self._django: Any = WSGIMiddleware(django, workers=settings.WEB_THREADS)
        self._batchers: dict[Work, Batcher[HotCall, HotAnswer | None]] = {}
        self._waker: Waker | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif self._batchers and is_hot(scope["method"], scope["path"]):
            await self._answer(scope, receive, send)
        else:
            await self._django(scope, _coroutines(receive), send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        if settings.HOT_LANE:
            self._waker = Waker()
            for work in set(WORK.values()):
                self._batchers[work] = Batcher(
                    self._answers, name=work.__name__, limit=settings.HOT_LANE_BATCH
                )
        await send({"type": "lifespan.startup.complete"})
        await receive()
        for batcher in self._batchers.values():
            await batcher.close()
        if self._waker is not None:
            await asyncio.to_thread(self._waker.close)
        await send({"type": "lifespan.shutdown.complete"})

    def _answers(self, calls: Sequence[HotCall]) -> list[HotAnswer | None]:
        """On a batcher's thread: answer the calls, and let workers be woken from another one."""
        with gathering_wake_ups() as tasks:
            answers = answer(calls)
        if tasks and self._waker is not None:
            self._waker.wake(tasks)
        return answers

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        announced = headers.get("content-length", "0")
        is_unclear = len(headers) != len(scope["headers"]) or "transfer-encoding" in headers
        # A body that is too large, or of unknown size, is refused by Django before it is read.
        if is_unclear or not announced.isdecimal() or int(announced) > settings.API_BULK_BODY_LIMIT:
            await self._django(scope, _coroutines(receive), send)
            return
        body = await _body(receive)
        call = accept(
            HotRequest(
                method=scope["method"],
                path=scope["path"],
                query=scope["query_string"],
                headers=headers,
                body=body,
                scheme=scope["scheme"],
                remote_address=scope["client"][0] if scope.get("client") else "",
            )
        )
        done = None
        if call is not None:
            try:
                done = await self._batchers[WORK[call.action]].submit(call)
            except Exception:  # a bug of ours, which Django would answer in the same words
                log.exception("request_failed", method=scope["method"], path=scope["path"])
                done = call.failed()
        if call is None or done is None:
            await self._django(scope, _again(body, receive), send)
            return
        await _send(done, send)


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


async def _send(answer: HotAnswer, send: Send) -> None:
    headers = [
        (name.lower().encode("latin-1"), value.encode("latin-1"))
        for name, value in answer.headers.items()
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
