"""What a client asks of a stream: the parameters, strictly checked."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, ClassVar
from uuid import UUID

from django.http import QueryDict

from oms.api.filters import (
    ApiFilterSet,
    ChoiceInFilter,
    InvalidValue,
    Schema,
    TextFilter,
    UUIDFilter,
)
from oms.core.errors import Invalid
from oms.events.models import Event
from oms.http.problems import Problem, problem_of_status
from oms.http.queries import InvalidQuery, check_query, query_error
from oms.streams.tickets import LONGEST
from oms.streams.topics import Topic

CONTENT_TYPE = "text/event-stream"
LAST_EVENT_ID = "Last-Event-ID"
LATEST = "latest"


class PositionFilter(UUIDFilter):
    """The id of an event, or `latest`."""

    parameter_schema: ClassVar[Schema] = {
        "anyOf": [UUIDFilter.parameter_schema, {"type": "string", "enum": [LATEST]}]
    }

    def parse(self, text: str) -> Any:
        return text if text == LATEST else super().parse(text)


class StreamParameters(ApiFilterSet):
    """The query parameters of a stream."""

    topics = ChoiceInFilter(choices=[(topic.value, topic.value) for topic in Topic])
    after = PositionFilter()
    product_id = UUIDFilter()
    ticket = TextFilter(max_length=LONGEST)

    class Meta:
        model = Event
        fields: list[str] = []


class Refused(Exception):
    """A request for a stream is refused with this problem."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        super().__init__(problem.detail)


def no_such_event() -> InvalidQuery:
    """The refusal of a position that is not the id of an event."""
    detail = "There is no such event."
    return InvalidQuery([query_error("after", code="not_found", detail=detail)])


def check_accept(header: str) -> None:
    """Raise Refused if the client does not take event streams."""
    ranges = [part.partition(";")[0].strip().lower() for part in header.split(",")]
    if not {"*/*", "text/*", CONTENT_TYPE} & set(ranges):
        raise Refused(problem_of_status(406, detail=f"Streams are {CONTENT_TYPE}."))


@dataclass(frozen=True, kw_only=True)
class StreamQuery:
    """What a client asks for; `after` is a position, None for what happens from now on."""

    topics: Collection[Topic]
    after: UUID | None = None
    product_id: UUID | None = None
    ticket: str | None = None


def stream_query(params: QueryDict, *, last_event_id: str | None) -> StreamQuery:
    """What the parameters ask for. Raises InvalidQuery.

    The header Last-Event-ID, which a browser sends when it connects again, goes before `after`.
    """
    check_query(params, known=StreamParameters.base_filters)
    values = StreamParameters.cleaned(_texts(params))
    if "topics" not in values:
        raise InvalidQuery([query_error("topics", code="required", detail="Name the topics.")])
    topics = frozenset(map(Topic, values["topics"]))
    product_id = values.get("product_id")
    if product_id is not None and Topic.INVENTORY not in topics:
        detail = "It narrows the topic inventory only."
        raise InvalidQuery([query_error("product_id", code="not_applicable", detail=detail)])
    after = values.get("after")
    if last_event_id:
        after = _position(last_event_id)
    return StreamQuery(
        topics=topics,
        after=None if after == LATEST else after,
        product_id=product_id,
        ticket=values.get("ticket"),
    )


def ticket_of(params: QueryDict) -> str | None:
    """The ticket, the only parameter of a WebSocket's address. Raises InvalidQuery."""
    check_query(params, known={"ticket"})
    ticket: str | None = StreamParameters.cleaned(_texts(params)).get("ticket")
    return ticket


def _texts(params: QueryDict) -> dict[str, str]:
    return {name: str(text) for name, text in params.items()}


def _position(text: str) -> UUID:
    try:
        return UUID(str(UUIDFilter().clean(text.strip())))
    except InvalidValue as error:
        raise Invalid((), f"{LAST_EVENT_ID} is not the id of an event.") from error
