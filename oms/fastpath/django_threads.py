"""Django on a pool of threads, none of which ever waits for a client."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from io import BytesIO
from typing import Any

import structlog
from a2wsgi import WSGIMiddleware
from django.conf import settings

from oms.core.deadline import arrived_at, deadline_in, time_left
from oms.core.errors import DeadlineExceeded, OperationError, Unavailable
from oms.fastpath.requests import FastPathRequest, Message, Scope, Send
from oms.http.headers import DEADLINE, requested_seconds

log = structlog.get_logger(__name__)

# A thread that is late says so itself, and knows more about it; the loop answers if it does not.
_GRACE = 0.4
# In the scope: the body, and whether a thread works on the request.
_BODY, _BEGUN = "oms.body", "oms.begun"


class _BegunLate(Exception):
    """The deadline has passed before a thread was free; the loop answers."""


class DjangoThreads:
    """Answers requests with Django, `workers` at a time; the others wait for a thread.

    A request has a deadline, which counts from its arrival: settings.REQUEST_DEADLINE, or what its
    client wants. One that has not begun until then has no effect. A thread is given the whole body,
    and never waits until its answer is read.
    """

    def __init__(self, django: Any, *, workers: int) -> None:
        self._django = django
        # The queue between a thread and its client has no bound, so a thread does not wait for it.
        begin: Any = self._begin
        self._threads: Any = WSGIMiddleware(begin, workers=workers, send_queue_size=0)

    async def answer(
        self, scope: Scope, send: Send, *, request: FastPathRequest
    ) -> OperationError | None:
        """Answer the request. Returns an error instead if its deadline has passed."""
        wanted = requested_seconds(request.headers.get(DEADLINE.lower()))
        scope[_BODY] = request.body
        with (
            arrived_at(request.arrived),
            deadline_in(seconds=wanted or settings.REQUEST_DEADLINE),
        ):
            try:
                async with asyncio.timeout((time_left() or 0.0) + _GRACE) as timeout:
                    await self._threads(scope, _receive_nothing, _sender(send, timeout))
            except TimeoutError:
                if not timeout.expired():  # the client does not read
                    log.info("client_stalled", path=request.path)
                    return None
            except _BegunLate:
                pass
            else:
                return None
        log.warning("request_late", path=request.path, begun=_BEGUN in scope)
        if _BEGUN in scope:
            return Unavailable("The request took too long. It may still have an effect.")
        return Unavailable() if wanted is None else DeadlineExceeded()

    def _begin(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        scope = environ["asgi.scope"]
        if time_left() == 0:
            raise _BegunLate
        scope[_BEGUN] = True
        environ["wsgi.input"] = BytesIO(scope.pop(_BODY))
        answer: Iterable[bytes] = self._django(environ, start_response)
        return answer


async def _receive_nothing() -> Message:
    return {"type": "http.disconnect"}


def _sender(send: Send, timeout: asyncio.Timeout) -> Send:
    """`send` for an answer that begins in time, and whose client goes on to read it."""

    async def sending(message: Message) -> None:
        if timeout.expired():  # the loop has answered
            return
        timeout.reschedule(None)
        async with asyncio.timeout(settings.REQUEST_BODY_TIMEOUT):
            await send(message)

    return sending
