"""Reading on the hot lane: the orders that many callers ask for, with a few statements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from django.db import connection

from oms.core.actor import Actor
from oms.core.errors import NotFound, OperationError
from oms.edge.connections import is_lost, log_failure, opened_connection
from oms.edge.messages import HotAnswer, HotCall
from oms.edge.routes import route_of
from oms.events.models import Event
from oms.http.etags import etag_for, names_tag
from oms.http.payloads import encode
from oms.http.problems import database_unreachable
from oms.users.access import asking_signed_in
from orders.api.outputs import order_document, status_document
from orders.queries import all_orders, history_seen_by, steps_of

if TYPE_CHECKING:
    from orders.models import Order


def read(calls: Sequence[HotCall], *, tries: int = 2) -> list[HotAnswer | None]:
    """The orders, or their statuses, that the calls ask for; None for a call left to Django.

    That is one whose user is not signed in any more; all, if it is not the connection that fails,
    with which it is tried again.
    """
    before = None
    try:
        before = opened_connection()
        return _read(calls)
    except Exception as error:  # a bug that one call meets must not fail the others
        log_failure(error, calls=len(calls))
        if not is_lost(before):
            return [None] * len(calls)
        connection.close()
        if tries > 1:
            return read(calls, tries=tries - 1)
        return [call.refused(database_unreachable()) for call in calls]


def _read(calls: Sequence[HotCall]) -> list[HotAnswer | None]:
    users = asking_signed_in({call.claims.session_id for call in calls})()
    orders = {order.id: order for order in all_orders().filter(pk__in={c.data for c in calls})}
    watched = {call.data for call in calls if call.action == "status"}
    steps = steps_of(watched & set(orders)) if watched else {}
    answers: list[HotAnswer | None] = []
    for call in calls:
        actor = call.actor_among(users)
        if actor is None:
            answers.append(None)
            continue
        try:
            answer = _answer(call, actor, orders.get(call.data), steps)
        except OperationError as error:
            answer = call.refused(error)
        answer.headers["Allow"] = route_of(call.action).allow
        answers.append(answer)
    return answers


def _answer(
    call: HotCall, actor: Actor, order: Order | None, steps: Mapping[UUID, Sequence[Event]]
) -> HotAnswer:
    if order is None or not actor.may_see_of(order.customer_id):
        raise NotFound
    etag = etag_for(order.version)
    if names_tag(call.request.headers.get("if-none-match"), etag=etag):
        return HotAnswer(status=304, headers={"ETag": etag})
    if call.action == "status":
        document = status_document(order, history_seen_by(actor, steps[order.id]))
    else:
        document = order_document(order, order.items.all(), actor=actor)
    return HotAnswer(
        status=200,
        body=encode(document),
        headers={"Content-Type": "application/json", "ETag": etag},
    )
