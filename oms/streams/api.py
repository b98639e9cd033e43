"""The feed of events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar
from urllib.parse import urlencode
from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from oms.api.documentation import documented
from oms.api.filters import ApiFilterSet, ChoiceFilter, Schema, UUIDFilter
from oms.api.keyset import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE, page_size
from oms.api.permissions import IsAuthenticated, IsStaff
from oms.api.serializers import OutputSerializer
from oms.api.standard_responses import EXAMPLE_ID
from oms.api.views import ApiView
from oms.events.models import Event
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


class PositionFilter(UUIDFilter):
    """The id of an event, or `latest`."""

    parameter_schema: ClassVar[Schema] = {
        "anyOf": [UUIDFilter.parameter_schema, {"type": "string", "enum": [LATEST]}]
    }

    def parse(self, text: str) -> Any:
        return text if text == LATEST else super().parse(text)


class OwnEventFilters(ApiFilterSet):
    after = PositionFilter()
    type = ChoiceFilter(choices=[(type_, type_) for type_ in types_for_customers()])
    order_id = UUIDFilter()

    class Meta:
        model = Event
        fields: list[str] = []


class AllEventFilters(OwnEventFilters):
    type = ChoiceFilter(choices=[(type_, type_) for type_ in types_for_staff()])

    class Meta:
        model = Event
        fields: list[str] = []


_PARAMETERS = {
    "after": "The id of an event, or `latest`; the oldest events without it.",
    "type": "Events of this type only.",
    "order_id": "Events of this order only.",
}


def _feed_documentation(
    summary: str, *, types: Sequence[str], filters: type[ApiFilterSet]
) -> documented:
    size = {"type": "integer", "minimum": 1, "maximum": MAX_PAGE_SIZE}
    return documented(
        summary=summary,
        description=f"{_FOLLOWING}\n\n{types_as_markdown(types)}",
        response=EventPageOutput,
        response_example=_EXAMPLE,
        errors=[EventsArchived],
        error_examples={"events_archived": {"oldest": EXAMPLE_ID}},
        parameters={
            **{
                name: {"schema": filters.base_filters[name].parameter_schema, "description": text}
                for name, text in _PARAMETERS.items()
            },
            "page_size": {
                "schema": {**size, "default": DEFAULT_PAGE_SIZE},
                "description": "How many events a page has at most.",
            },
        },
    )


class _Feed(ApiView):
    paged_actions = ()
    queries = {"get": (*_PARAMETERS, "page_size")}

    def answer(
        self,
        types: Sequence[str],
        *,
        filters: type[ApiFilterSet],
        customer_id: UUID | None = None,
    ) -> Response:
        """A page of the events of these types."""
        params = self.request.query_params.dict()
        values, limit = filters.cleaned(params), page_size(params)
        scope = FeedScope(
            types=[values["type"]] if "type" in values else types,
            customer_id=customer_id,
            order_id=values.get("order_id"),
        )
        after = values.get("after", NOTHING)
        if after == LATEST:
            events, position = [], latest_position(scope)
        else:
            try:
                page = read_feed(scope, after=after, limit=limit)
            except LookupError as error:
                detail = "There is no such event."
                unknown = query_error("after", code="not_found", detail=detail)
                raise InvalidQuery([unknown]) from error
            events, position = [_document(event) for event in page.events], page.next
        query = urlencode(sorted({**params, "after": str(position)}.items()))
        url = self.request.build_absolute_uri(self.request.path)
        return Response({"next": f"{url}?{query}", "results": events})


class OwnEvents(_Feed):
    permission_classes = [IsAuthenticated]

    @_feed_documentation("Follow your orders", types=types_for_customers(), filters=OwnEventFilters)
    def get(self, request: Request) -> Response:
        customer_id = self.actor.id
        assert customer_id is not None
        return self.answer(types_for_customers(), filters=OwnEventFilters, customer_id=customer_id)


class AllEvents(_Feed):
    permission_classes = [IsStaff]

    @_feed_documentation(
        "Follow all orders and products", types=types_for_staff(), filters=AllEventFilters
    )
    def get(self, request: Request) -> Response:
        return self.answer(types_for_staff(), filters=AllEventFilters)


def _document(event: FeedEvent) -> dict[str, Any]:
    return {
        "id": event.id,
        "type": event.type,
        "occurred_at": event.occurred_at,
        "order_id": event.data.get("order_id"),
        "actor_kind": event.actor_kind,
        "data": event.data,
    }
