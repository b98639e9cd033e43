"""GET /api/v1/stream: Server-Sent Events (HTML Living Standard, section 9.2)."""

from __future__ import annotations

import asyncio

from django.http import QueryDict

from oms.api.handlers import ApiAnswer
from oms.fastpath.answers import complete_alone, problem_answer, request_id_of, start_of
from oms.fastpath.requests import FastPathRequest, Receive, Send
from oms.fastpath.requests import Message as AsgiMessage
from oms.streams.callers import Visitor, visitor_of
from oms.streams.connection import Streams, deadline_of_request, fault_of, retry_milliseconds
from oms.streams.listeners import Ending, Listener
from oms.streams.messages import Message, ended_message, opened_message
from oms.streams.queries import CONTENT_TYPE, LAST_EVENT_ID, check_accept, stream_query
from oms.streams.topics import interest_of

PATH = "/api/v1/stream"
_NAME = "stream"
_HEADERS = {
    "Content-Type": CONTENT_TYPE,
    "Cache-Control": "no-store",
    # nginx would hold the events back until its buffer is full.
    "X-Accel-Buffering": "no",
}
# Without a blank line, for clients that take every block for an event (httpx-sse 0.4.3).
_HEARTBEAT = b":\n"
# For how long a client may read nothing of what is sent, and how many events that is at most.
_SEND_SECONDS = 10.0
_AT_ONCE = 100


async def serve_events(
    request: FastPathRequest, receive: Receive, send: Send, *, streams: Streams
) -> ApiAnswer | None:
    """Answer the request with a stream, until either side ends it; or return the refusal."""
    listener = Listener(kind="sse", request_id=request_id_of(request))
    try:
        try:
            async with deadline_of_request(request):
                beginning = await _open(request, listener, streams=streams)
        except Exception as error:
            return problem_answer(request, fault_of(error), name=_NAME)
        request.forget()
        await _write(listener, beginning, receive, send)
    finally:
        streams.disconnect(listener)
    if listener.ending is Ending.TOO_SLOW:
        streams.cut(request.client)
    return None


async def _open(
    request: FastPathRequest, listener: Listener, *, streams: Streams
) -> list[AsgiMessage]:
    """The beginning of the stream; from now on nothing is missed that it is about."""
    check_accept(request.headers.get("accept", "*/*"))
    query = stream_query(
        QueryDict(request.query),
        last_event_id=request.headers.get(LAST_EVENT_ID.lower()),
    )
    visitor = await streams.in_thread(visitor_of, request, ticket=query.ticket)
    caller = visitor.caller
    interest = interest_of(caller.account, topics=query.topics, product_id=query.product_id)
    await streams.connect(listener, caller)
    position, page = await streams.beginning(interest, caller=caller, after=query.after)
    streams.subscribe(listener, interest, after=query.after, page=page)
    # A client that is cut off before the first event resumes here.
    opened = opened_message(position=position)
    first = f"retry: {retry_milliseconds()}\n".encode() + opened.as_event_stream
    return [start_of(_answer(request, visitor, request_id=listener.request_id)), _body(first)]


def _answer(request: FastPathRequest, visitor: Visitor, *, request_id: str) -> ApiAnswer:
    answer = ApiAnswer(headers={**_HEADERS, **visitor.headers, "Allow": "GET, HEAD"})
    complete_alone(
        request,
        answer,
        request_id=request_id,
        path=PATH,
        name=_NAME,
        user_id=visitor.caller.user_id,
        is_stream=True,
    )
    return answer


async def _write(
    listener: Listener, beginning: list[AsgiMessage], receive: Receive, send: Send
) -> None:
    """Send the beginning and what the listener gets, until the client is gone or the end."""
    gone: asyncio.Future[AsgiMessage] | None = None
    try:
        async with asyncio.timeout(_SEND_SECONDS):
            while (await receive()).get("more_body"):
                pass
        # Granian returns a future: no task, of which there would be thousands.
        gone = asyncio.ensure_future(receive())
        gone.add_done_callback(listener.end_gone)
        while beginning:
            await _send(send, beginning.pop(0))
        while True:
            await listener.arrival()
            messages = listener.take()
            if messages:
                blocks = [each.as_event_stream for each in messages if isinstance(each, Message)]
                for begin in range(0, len(blocks), _AT_ONCE):
                    await _send(send, _body(b"".join(blocks[begin : begin + _AT_ONCE])))
            elif listener.ending is None:
                await _send(send, _body(_HEARTBEAT))
            else:
                break
        await _send(send, _body(_last_words(listener.ending), more=False))
    except TimeoutError:
        listener.end(Ending.TOO_SLOW)
    finally:
        if gone is not None:
            gone.cancel()


def _body(part: bytes, *, more: bool = True) -> AsgiMessage:
    return {"type": "http.response.body", "body": part, "more_body": more}


async def _send(send: Send, message: AsgiMessage) -> None:
    async with asyncio.timeout(_SEND_SECONDS):
        await send(message)


def _last_words(ending: Ending) -> bytes:
    if ending is Ending.SIGNED_OUT:
        return ended_message(code="session_ended").as_event_stream
    return f"retry: {retry_milliseconds()}\n".encode()
