"""Messages of streams, in the two forms in which they are sent."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from uuid import UUID

import msgspec

from oms.streams.feed import FeedEvent
from oms.streams.stock import ProductState

STOCK_EVENT = "inventory.changed"
OPENED_EVENT = "stream.opened"
ENDED_EVENT = "stream.ended"


@dataclass(frozen=True, kw_only=True)
class Message:
    """One message, shared by all who get it; `id` is a position in the log, `data` is JSON."""

    id: UUID | None
    event: str
    data: str

    @cached_property
    def as_event_stream(self) -> bytes:
        """A block of an event stream (HTML Living Standard, 9.2.5)."""
        id = "" if self.id is None else f"id: {self.id}\n"
        return f"{id}event: {self.event}\ndata: {self.data}\n\n".encode()

    @cached_property
    def as_json(self) -> str:
        """A text message of a WebSocket."""
        document = {"type": "event", "id": self.id, "event": self.event}
        return msgspec.json.encode({**document, "data": msgspec.Raw(self.data.encode())}).decode()


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What a WebSocket answers to a message of the client."""

    text: str

    @property
    def as_json(self) -> str:
        return self.text


def message_of(event: FeedEvent) -> Message:
    """The message about an event of the log."""
    return Message(id=event.id, event=event.type, data=event.data)


def stock_message(state: ProductState, *, position: UUID) -> Message:
    """The message about a product's stock as it is at that position or later."""
    return Message(id=position, event=STOCK_EVENT, data=msgspec.json.encode(state).decode())


def opened_message(*, position: UUID) -> Message:
    """The first message, so that a client that is cut off before any other can resume."""
    return Message(id=position, event=OPENED_EVENT, data="{}")


def ended_message(*, code: str) -> Message:
    """The last message of a stream that is ended for good."""
    return Message(id=None, event=ENDED_EVENT, data=msgspec.json.encode({"code": code}).decode())
