"""The feed of events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from oms.api.documentation import documented
from oms.api.keyset import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE, page_size
from oms.api.permissions import IsAuthenticated, IsStaff
from oms.api.serializers import OutputSerializer
from oms.api.standard_responses import EXAMPLE_ID
from oms.api.views import ApiView
from oms.http.queries import InvalidQuery, query_error
from oms.streams.facts import types_as_markdown, types_for_customers, types_for_staff
from oms.streams.feed import (
    NOTHING,
    EventsArchived,
    FeedEvent,
    FeedScope,
    latest_position,
    read_feed,
)

LATEST = "latest"

_ORDER_ID = "019aa2f4-8c11-7b63-a1f0-6d2c9e4b7a58"
_EXAMPLE = {
    "next": f"https://shop.example.com/api/v1/events?after={EXAMPLE_ID}",
    "results": [
        {
            "id": EXAMPLE_ID,
            "type": "order.confirmed",
            "occurred_at": "2026-11-21T09:30:00.123456Z",
            "order_id": _ORDER_ID,
            "actor_kind": "system",
            "data": {
                "order_id": _ORDER_ID,
                "number": "20261121-7KQ2MD",
                "customer_id": "019aa2f0-11d2-7c05-8f3e-0b7a5d9c2e41",
                "previous_status": "pending",
                "status": "confirmed",
                "reason": "",
            },
        }
    ],
}
_FOLLOWING = (
    "In the order of commits, oldest first. Follow `next`, which is never null: at the end of the"
    " log it gives what has happened since. Nothing appears later before what was returned."
    " A page may be empty although there are more events. Begin with `after=latest` for what"
    " happens from now on."
)


class EventOutput(OutputSerializer):
    id = serializers.UUIDField()
    type = serializers.CharField()
    occurred_at = serializers.DateTimeField()
    order_id = serializers.UUIDField(allow_null=True)
    actor_kind = serializers.CharField(help_text="`anonymous`, `customer`, `staff` or `system`.")
    data = serializers.DictField(  # type: ignore[assignment]  # the name of the contract
        help_text="By the type; see the table. Members may be added."
    )


class EventPageOutput(OutputSerializer):
    next = serializers.URLField(help_text="The events after these.")
    results = EventOutput(many=True)


def _parameters(types: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
    uuid = {"type": "string", "format": "uuid"}
    size = {"type": "integer", "minimum": 1, "maximum": MAX_PAGE_SIZE}
    return {
        "after": {
            "schema": {"anyOf": [uuid, {"type": "string", "enum": [LATEST]}]},
            "description": "The id of an event, or `latest`; the oldest events without it.",
        },
        "type": {
            "schema": {"type": "string", "enum": list(types)},
            "description": "Events of this type only.",
        },
        "order_id": {"schema": uuid, "description": "Events of this order only."},
        "page_size": {
            "schema": {**size, "default": DEFAULT_PAGE_SIZE},
            "description": "How many events a page has at most.",
        },
    }


class _Feed(ApiView):
    paged_actions = ()
    queries = {"get": ("after", "type", "order_id", "page_size")}

    def answer(self, types: Sequence[str], *, customer_id: UUID | None = None) -> Response:
        """A page of the events of these types."""
        query = self.request.query_params
        scope = FeedScope(
            types=_chosen(query.get("type"), types),
            customer_id=customer_id,
            order_id=_id(query, "order_id"),
        )
        limit = page_size(query)
        if query.get("after") == LATEST:
            events, position = [], latest_position(scope)
        else:
            try:
                page = read_feed(scope, after=_id(query, "after") or NOTHING, limit=limit)
            except LookupError as error:
                raise _invalid("after", "not_found", "There is no such event.") from error
            events, position = [_document(event) for event in page.events], page.next
        params = sorted({**query.dict(), "after": str(position)}.items())
        url = self.request.build_absolute_uri(self.request.path)
        return Response({"next": f"{url}?{urlencode(params)}", "results": events})


class OwnEvents(_Feed):
    permission_classes = [IsAuthenticated]

    @documented(
        summary="Follow your orders",
        description=f"{_FOLLOWING}\n\n{types_as_markdown(types_for_customers())}",
        response=EventPageOutput,
        response_example=_EXAMPLE,
        errors=[EventsArchived],
        error_examples={"events_archived": {"oldest": EXAMPLE_ID}},
        parameters=_parameters(types_for_customers()),
    )
    def get(self, request: Request) -> Response:
        assert self.actor.id is not None
        return self.answer(types_for_customers(), customer_id=self.actor.id)


class AllEvents(_Feed):
    permission_classes = [IsStaff]

    @documented(
        summary="Follow all orders and products",
        description=f"{_FOLLOWING}\n\n{types_as_markdown(types_for_staff())}",
        response=EventPageOutput,
        response_example=_EXAMPLE,
        errors=[EventsArchived],
        error_examples={"events_archived": {"oldest": EXAMPLE_ID}},
        parameters=_parameters(types_for_staff()),
    )
    def get(self, request: Request) -> Response:
        return self.answer(types_for_staff())


def _document(event: FeedEvent) -> dict[str, Any]:
    return {
        "id": event.id,
        "type": event.type,
        "occurred_at": event.occurred_at,
        "order_id": event.data.get("order_id"),
        "actor_kind": event.actor_kind,
        "data": event.data,
    }


def _chosen(type_: str | None, types: Sequence[str]) -> Sequence[str]:
    if type_ is None:
        return types
    if type_ not in types:
        raise _invalid("type", "invalid_choice", "One of the types in the documentation.")
    return [type_]


def _id(query: Mapping[str, str], name: str) -> UUID | None:
    text = query.get(name)
    if text is None:
        return None
    try:
        return UUID(text)
    except ValueError as error:
        raise _invalid(name, "invalid", "Not a UUID.") from error


def _invalid(parameter: str, code: str, detail: str) -> InvalidQuery:
    return InvalidQuery([query_error(parameter, code=code, detail=detail)])
