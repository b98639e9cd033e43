"""Streams in the back office, whose pages have no access token."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_POST

from oms.streams.tickets import issue_ticket
from oms.streams.topics import types_of_all_orders
from oms.users.models import User


@require_POST
def stream_ticket(request: HttpRequest) -> HttpResponse:
    """A ticket for a stream of the session's user, and the types of events to listen to.

    For those who may see orders.
    """
    user = request.user
    assert isinstance(user, User)  # the site lets nobody else in
    if not user.has_perm("orders.view_order"):
        raise PermissionDenied
    ticket = issue_ticket(user_id=user.id, session_id=None)
    return JsonResponse({"ticket": ticket, "types": types_of_all_orders()}, status=201)
