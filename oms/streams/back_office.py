"""Streams in the back office, whose pages have no access token."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_POST

from oms.backoffice.actors import may
from oms.core.ids import as_uuid
from oms.core.permissions import Permission
from oms.streams.feed import EventsArchived, FeedScope, latest_position, place_of
from oms.streams.tickets import issue_ticket
from oms.streams.topics import types_of_all_orders
from oms.users.models import User

_WITH_BADGE = frozenset({"index", "orders_order_changelist", "orders_order_change"})


class LogPositionMiddleware:
    """Notes `request.log_position` on pages with a badge, which is about what has happened since.

    It is read before what the page shows, so that nothing is between the two.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self._get_response(request)

    def process_view(self, request: HttpRequest, *view: Any) -> None:
        match = request.resolver_match
        if (
            match is not None
            and (match.app_name, request.method) == ("admin", "GET")
            and match.url_name in _WITH_BADGE
            and may(request, Permission.ORDERS_VIEW)
        ):
            position = latest_position(FeedScope(types=()))
            request.log_position = position  # type: ignore[attr-defined]  # for the template


@require_POST
def stream_ticket(request: HttpRequest) -> HttpResponse:
    """A ticket for a stream of the session's user, and the types of events to listen to.

    For those who may see orders. 410 if the log no longer has the position `after`, from which the
    page wants to go on.
    """
    user = request.user
    assert isinstance(user, User)  # the site lets nobody else in
    if not may(request, Permission.ORDERS_VIEW):
        raise PermissionDenied
    after = as_uuid(request.POST.get("after", ""))
    try:
        if after is not None:
            place_of(after)
    except (EventsArchived, LookupError):
        return JsonResponse({}, status=410)
    types = types_of_all_orders(with_payments=may(request, Permission.PAYMENTS_VIEW))
    ticket = issue_ticket(user_id=user.id, session_key=request.session.session_key or "")
    return JsonResponse({"ticket": ticket, "types": types}, status=201)
