"""The feed of events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.http import HttpResponse
from msgspec import Raw
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from oms.api.documentation import documented
from oms.api.filters import ApiFilterSet, ChoiceFilter, UUIDFilter
from oms.api.keyset import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE, page_size
from oms.api.permissions import AllowAny, IsAuthenticated, IsStaff
from oms.api.serializers import OutputSerializer
from oms.api.standard_responses import EXAMPLE_ID
from oms.api.views import ApiView
from oms.core.errors import PermissionDenied
from oms.core.permissions import Permission
from oms.events.models import Event
from oms.streams.facts import types_as_markdown, types_for_customers, types_for_staff
from oms.streams.feed import (
    NOTHING,
    EventsArchived,
    FeedEvent,
    FeedScope,
    latest_position,
    read_feed,
)
from oms.streams.queries import (
    CONTENT_TYPE,
    LAST_EVENT_ID,
    LATEST,
    PositionFilter,
    StreamParameters,
    check_accept,
    no_such_event,
    stream_query,
)
from oms.streams.tickets import issue_ticket
from oms.streams.topics import interest_of
from oms.users.access_tokens import Account

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


_STREAM_DESCRIPTION = """\
Server-Sent Events: `id` is the event's, `event` its type, `data` its data, as in the feed.

| Topic | What | Who |
| --- | --- | --- |
| `orders` | The events of your orders; for staff those of all orders | signed in |
| `notifications` | `notification.created` for each of your new in-app notifications | signed in |
| `inventory` | `inventory.changed` with a product's present stock, once a second at most | all |

Staff need `orders.view` for `orders`, and see payments and refunds with `payments.view`.

The first event is `stream.opened`, whose `id` is the position from which on nothing is missed. A
client that connects again with `Last-Event-ID` (browsers do so by themselves) or `after` gets all
that it has missed, nothing twice; of the inventory the present state of what has changed, which
after more than a minute counts as the pages of products that it would fill. A comment every 15
seconds shows that the connection works. The stream ends with the session, which is announced by
`stream.ended`; it ends, and is to be opened again, when the server restarts or the client does not
read. Browsers send a ticket instead of a token.
"""
_STREAM_EXAMPLE = (
    f"retry: 2317\nid: {EXAMPLE_ID}\nevent: stream.opened\ndata: {{}}\n\n"
    f'id: {_ORDER_ID}\nevent: order.confirmed\ndata: {{"order_id": "{_ORDER_ID}"}}\n\n'
)
_STREAM_PARAMETERS = {
    "topics": "What to follow, separated by commas.",
    "after": "The id of an event: begin with what followed it. From now on by default.",
    "product_id": "The stock of this product only.",
    "ticket": "In place of a token.",
}


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
    summary: str, *, types: Sequence[str], filters: type[ApiFilterSet], more: str = ""
) -> documented:
    size = {"type": "integer", "minimum": 1, "maximum": MAX_PAGE_SIZE}
    return documented(
        summary=summary,
        description=f"{_FOLLOWING} {more}\n\n{types_as_markdown(types)}",
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
            types=[type_ for type_ in types if values.get("type", type_) == type_],
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
                raise no_such_event() from error
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
        "Follow all orders and products",
        types=types_for_staff(),
        filters=AllEventFilters,
        more="Payments and refunds need `payments.view` too, products and locations `stock.view`.",
    )
    def get(self, request: Request) -> Response:
        self.actor.require(Permission.ORDERS_VIEW)
        return self.answer(types_for_staff(self.actor.held), filters=AllEventFilters)


class TicketOutput(OutputSerializer):
    ticket = serializers.CharField(help_text="For one connection within 30 seconds.")


class Stream(ApiView):
    """The stream; its web server takes it (oms/streams/event_stream.py) before Django does."""

    permission_classes = [AllowAny]
    queries = {"get": tuple(StreamParameters.base_filters)}

    @documented(
        summary="Follow what happens, as it happens",
        description=_STREAM_DESCRIPTION,
        status=200,
        media_types={CONTENT_TYPE: _STREAM_EXAMPLE},
        parameters={
            name: {
                "schema": StreamParameters.base_filters[name].parameter_schema,
                "description": text,
                "required": name == "topics",
            }
            for name, text in _STREAM_PARAMETERS.items()
        },
        headers={LAST_EVENT_ID: "The id of the last event received; goes before `after`."},
        errors=[EventsArchived, PermissionDenied],
    )
    def get(self, request: Request) -> HttpResponse:
        """Check the request, and let the client try again: without ASGI no stream stays open."""
        check_accept(request.headers.get("Accept", "*/*"))
        last_event_id = request.headers.get(LAST_EVENT_ID)
        query = stream_query(request._request.GET, last_event_id=last_event_id)
        user = request.user
        account = user if isinstance(user, Account) else None
        interest_of(account, topics=query.topics, product_id=query.product_id)
        return HttpResponse("retry: 5000\n", content_type=CONTENT_TYPE)


class Tickets(ApiView):
    """Tickets for browsers."""

    @documented(
        summary="Get a ticket for a stream",
        description="For `ticket` of a stream or a WebSocket, because a browser cannot send the"
        " header Authorization there. It opens one connection within 30 seconds.",
        response=TicketOutput,
        status=201,
        response_example={"ticket": "Vm0wd2QyUXlVWGxWV0d4V1YwZDRXRmxVU205"},
    )
    def post(self, request: Request) -> Response:
        account = request.user
        assert isinstance(account, Account)
        ticket = issue_ticket(user_id=account.id, session_id=account.session_id)
        return Response({"ticket": ticket}, status=201, headers={"Cache-Control": "no-store"})


def _document(event: FeedEvent) -> dict[str, Any]:
    return {
        "id": event.id,
        "type": event.type,
        "occurred_at": event.occurred_at,
        "order_id": event.order_id,
        "actor_kind": event.actor_kind,
        "data": Raw(event.data),
    }
