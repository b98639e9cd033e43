"""WebSocket /api/v1/ws (RFC 6455): the topics of streams, subscribed to by messages."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Annotated, Any
from uuid import UUID

import msgspec
from django.conf import settings
from django.http import QueryDict

from oms.core.errors import Conflict, Invalid
from oms.fastpath.answers import request_id_of
from oms.fastpath.requests import FastPathRequest, Receive, Send
from oms.http.access_log import AnsweredRequest, record_requests
from oms.http.payloads import encode
from oms.http.problems import Problem
from oms.streams.callers import visitor_of
from oms.streams.connection import Streams, deadline_of_request, fault_of, within
from oms.streams.listeners import Caller, Ending, Listener, Subscription
from oms.streams.messages import Reply
from oms.streams.queries import ticket_of
from oms.streams.topics import Topic, interest_of

PATH = "/api/v1/ws"
_NAME = "ws"
_SEND_SECONDS = 10.0
# For the close frame alone, which a client that does not read does not get.
_CLOSE_SECONDS = 1.0
# Of a message of the client, in characters, and how many of them within a minute.
_LONGEST = 4_096
_MOST_MESSAGES = 60
_WINDOW_SECONDS = 60.0
_MOST_SUBSCRIPTIONS = 50
_HEARTBEAT = '{"type":"heartbeat"}'
# Of connections, by the status of what was refused.
_ENDINGS: Mapping[int, Ending] = {
    401: Ending.SIGNED_OUT,
    403: Ending.NOT_ALLOWED,
    429: Ending.TOO_MANY,
    503: Ending.RESTART,
    504: Ending.RESTART,
}


class AlreadySubscribed(Conflict):
    """You follow this topic already; unsubscribe first."""

    code = "already_subscribed"


class NotSubscribed(Conflict):
    """You don't follow this topic."""

    code = "not_subscribed"


class TooManySubscriptions(Conflict):
    """A connection may have 50 subscriptions."""

    code = "too_many_subscriptions"


class _Subscribe(msgspec.Struct, tag="subscribe", tag_field="type", forbid_unknown_fields=True):
    topics: Annotated[list[Topic], msgspec.Meta(min_length=1)]
    product_id: UUID | None = None
    after: UUID | None = None


class _Unsubscribe(msgspec.Struct, tag="unsubscribe", tag_field="type", forbid_unknown_fields=True):
    topics: Annotated[list[Topic], msgspec.Meta(min_length=1)]
    product_id: UUID | None = None


_decode = msgspec.json.Decoder(_Subscribe | _Unsubscribe).decode
# A topic, and the product of the inventory.
_Key = tuple[Topic, UUID | None]


async def serve_web_socket(
    request: FastPathRequest, receive: Receive, send: Send, *, streams: Streams
) -> None:
    """Serve the connection until either side closes it."""
    await receive()  # that the client connects
    await send({"type": "websocket.accept"})
    listener = Listener(kind="websocket", request_id=request_id_of(request))
    try:
        try:
            async with deadline_of_request(request):
                ticket = ticket_of(QueryDict(request.query))
                caller = (await streams.in_thread(visitor_of, request, ticket=ticket)).caller
                await streams.connect(listener, caller)
        except Exception as error:
            problem = fault_of(error)
            _record(request, listener, status=problem.status)
            await _refuse(send, problem)
            return
        _record(request, listener, status=101, user_id=caller.user_id)
        request.forget()
        await _Socket(caller, listener, receive=receive, send=send, streams=streams).run()
    finally:
        streams.disconnect(listener)
    if listener.ending in {Ending.TOO_SLOW, Ending.TOO_MANY}:
        streams.cut(request.client)


class _Socket:
    """One connection: a task that reads what the client wants, and one that sends."""

    def __init__(
        self,
        caller: Caller,
        listener: Listener,
        *,
        receive: Receive,
        send: Send,
        streams: Streams,
    ) -> None:
        self._caller, self._listener, self._streams = caller, listener, streams
        self._receive, self._send = receive, send
        self._subscriptions: dict[_Key, Subscription] = {}

    async def run(self) -> None:
        """Serve until the end."""
        reader = asyncio.create_task(self._read())
        try:
            await self._write()
        except TimeoutError:
            self._listener.end(Ending.TOO_SLOW)
        finally:
            # First, for granian 2.8 keeps the close frame back while something is being received.
            reader.cancel()
            await asyncio.wait([reader])
        if self._listener.ending is not None:
            await _close(self._send, self._listener.ending)

    async def _write(self) -> None:
        """Send what the listener gets, until it has no more."""
        while True:
            await self._listener.arrival()
            messages = self._listener.take()
            for message in messages:
                if self._listener.ending is Ending.TOO_SLOW:
                    break
                await _send_text(self._send, message.as_json)
            if not messages:
                if self._listener.ending is not None:
                    return
                await _send_text(self._send, _HEARTBEAT)

    # --- What the client sends --------------------------------------------------------------------

    async def _read(self) -> None:
        began, number = time.monotonic(), 0
        while True:
            message = await self._receive()
            if message["type"] != "websocket.receive":
                self._listener.end(Ending.GONE)
                return
            if time.monotonic() - began > _WINDOW_SECONDS:
                began, number = time.monotonic(), 0
            number += 1
            text = message.get("text") or (message.get("bytes") or b"").decode(errors="replace")
            if number > _MOST_MESSAGES or len(text) > _LONGEST:
                self._listener.end(Ending.TOO_MANY)
                return
            try:
                self._listener.put(await self._answer(text))
            except Exception as error:
                problem = fault_of(error)
                self._listener.put(_error(problem))
                if problem.status in _ENDINGS:
                    self._listener.end(_ENDINGS[problem.status])
                    return

    async def _answer(self, text: str) -> Reply:
        try:
            wanted = _decode(text)
        except msgspec.DecodeError as error:
            raise Invalid([], f"The message is not understood: {error}") from error
        keys = [
            (topic, wanted.product_id if topic is Topic.INVENTORY else None)
            for topic in dict.fromkeys(wanted.topics)
        ]
        if wanted.product_id is not None and Topic.INVENTORY not in wanted.topics:
            raise Invalid([], "product_id narrows the topic inventory only.")
        if isinstance(wanted, _Subscribe):
            position = await self._subscribe(keys, wanted)
            return _reply("subscribed", wanted, after=position)
        self._unsubscribe(keys)
        return _reply("unsubscribed", wanted)

    async def _subscribe(self, keys: Sequence[_Key], wanted: _Subscribe) -> UUID:
        """Subscribe; the position from which on nothing is missed."""
        if any(key in self._subscriptions for key in keys):
            raise AlreadySubscribed
        if len(self._subscriptions) + len(keys) > _MOST_SUBSCRIPTIONS:
            raise TooManySubscriptions
        caller, after = self._caller, wanted.after
        interest = interest_of(caller.account, topics=wanted.topics, product_id=wanted.product_id)
        async with within(settings.REQUEST_DEADLINE):
            position, page = await self._streams.beginning(interest, caller=caller, after=after)
        subscription = self._streams.subscribe(self._listener, interest, after=after, page=page)
        self._subscriptions.update((key, subscription) for key in keys)
        return position

    def _unsubscribe(self, keys: Sequence[_Key]) -> None:
        if any(key not in self._subscriptions for key in keys):
            raise NotSubscribed
        for topic, product_id in keys:
            subscription = self._subscriptions.pop((topic, product_id))
            subscription.left_out |= {topic}
            if subscription.left_out == subscription.interest.topics:
                self._streams.unsubscribe(subscription)


def _reply(type_: str, wanted: _Subscribe | _Unsubscribe, *, after: UUID | None = None) -> Reply:
    document: dict[str, Any] = {"type": type_, "topics": wanted.topics}
    document |= {"product_id": wanted.product_id} if wanted.product_id else {}
    document |= {"after": after} if after else {}
    return Reply(text=encode(document).decode())


def _error(problem: Problem) -> Reply:
    """The problem as a message; its members are those of a problem document."""
    document = problem.document(instance=PATH, request_id="")
    names = ("status", "title", "detail", "code", "errors", *problem.data)
    shown = {name: document[name] for name in names if name in document}
    return Reply(text=encode({"type": "error", **shown}).decode())


def _record(
    request: FastPathRequest, listener: Listener, *, status: int, user_id: UUID | None = None
) -> None:
    """Log and count the handshake; `Streams` logs the end."""
    one = AnsweredRequest(
        method=request.method,
        path=PATH,
        scheme=request.scheme,
        route=_NAME,
        view=_NAME,
        status=status,
        seconds=time.monotonic() - request.arrived,
        request_id=listener.request_id,
        user_id=user_id,
    )
    record_requests([one])


async def _refuse(send: Send, problem: Problem) -> None:
    with suppress(TimeoutError):  # a client that does not read
        await _send_text(send, _error(problem).text)
    await _close(send, _ENDINGS.get(problem.status, Ending.FAILED))


async def _send_text(send: Send, text: str) -> None:
    async with asyncio.timeout(_SEND_SECONDS):
        await send({"type": "websocket.send", "text": text})


async def _close(send: Send, ending: Ending) -> None:
    if ending.close_code is not None:
        with suppress(TimeoutError):  # a client that does not read
            async with asyncio.timeout(_CLOSE_SECONDS):
                await send({"type": "websocket.close", "code": ending.close_code})
