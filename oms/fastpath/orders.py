"""Reading orders on the hot lane: those that many callers ask for, with a few statements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any

from django.db import connection
from django.db.models import QuerySet

from oms.core.actor import Actor
from oms.core.errors import NotFound
from oms.db.pipeline import pipelined
from oms.fastpath.connections import is_lost, log_failure, opened_connection
from oms.fastpath.routes import STAFFS, route_of
from oms.fastpath.types import FastPathAnswer, FastPathCall
from oms.http.etags import etag_for
from oms.http.payloads import encode
from oms.http.problems import database_unreachable
from oms.users.access_tokens import asking_signed_in
from orders.api.filters import AdminOrderFilters
from orders.api.lists import etag_of_orders
from orders.api.outputs import order_document, status_document
from orders.queries import (
    NewestPage,
    OrderRow,
    all_orders,
    asking_items,
    asking_orders,
    asking_status_changes,
    history_seen_by,
    items_of,
    orders_of,
    orders_on,
    status_changes_of,
)

_LISTS = frozenset({"orders", "all_orders"})

# What answers calls whose callers are known, in their order; it only reads.
Reading = Callable[[Sequence[tuple[FastPathCall, Actor]]], list[FastPathAnswer]]
# What is given all calls before anybody knows who calls, so that it can ask with that question.
Asking = Callable[[Sequence[FastPathCall]], Reading]


def read(calls: Sequence[FastPathCall]) -> list[FastPathAnswer | None]:
    """The orders, their statuses or their lists that the calls ask for."""
    return answered(calls, by=_asking)


def answered(
    calls: Sequence[FastPathCall], *, by: Asking, tries: int = 2
) -> list[FastPathAnswer | None]:
    """What `by` answers; None for a call left to Django.

    That is one whose user is not signed in any more, or may not ask for that; all, if it is not the
    connection that fails, with which it is tried again.
    """
    before = None
    try:
        before = opened_connection()
        return _answered(calls, by)
    except Exception as error:  # a bug that one call meets must not fail the others
        log_failure(error, calls=len(calls))
        if not is_lost(before):
            return [None] * len(calls)
        connection.close()
        if tries > 1:
            return answered(calls, by=by, tries=tries - 1)
        return [call.refused(database_unreachable()) for call in calls]


def _answered(calls: Sequence[FastPathCall], by: Asking) -> list[FastPathAnswer | None]:
    sessions = {call.caller.session_id for call in calls if call.caller is not None}
    with pipelined():
        users = asking_signed_in(sessions) if sessions else dict
        reading = by(calls)
    signed_in = users()
    actors = [call.actor_among(signed_in) for call in calls]
    known = [
        (n, actor)
        for n, actor in enumerate(actors)
        if actor is not None and (actor.is_staff or calls[n].action not in STAFFS)
    ]
    answers: list[FastPathAnswer | None] = [None] * len(calls)
    done = reading([(calls[n], actor) for n, actor in known])
    for (number, _), answer in zip(known, done, strict=True):
        answer.headers["Allow"] = route_of(calls[number].action).allow
        answers[number] = answer
    return answers


def _asking(calls: Sequence[FastPathCall]) -> Reading:
    asking_single = _Single([call for call in calls if call.action not in _LISTS])

    def read(asked: Sequence[tuple[FastPathCall, Actor]]) -> list[FastPathAnswer]:
        lists = [one for one in asked if one[0].action in _LISTS]
        pages = iter(_lists(lists) if lists else ())
        single = iter(asking_single.answers([o for o in asked if o[0].action not in _LISTS]))
        return [next(pages if call.action in _LISTS else single) for call, _ in asked]

    return read


def _lists(asked: Sequence[tuple[FastPathCall, Actor]]) -> list[FastPathAnswer]:
    """Pages of orders; calls that ask for the same share everything."""
    keys = [_key(call) for call, _ in asked]
    wanted = dict(zip(keys, asked, strict=True))
    found = orders_on([_wanted_page(call) for call, _ in wanted.values()])
    pages = {
        key: call.data.page.page(rows)
        for (key, (call, _)), rows in zip(wanted.items(), found, strict=True)
    }
    tags = {key: etag_of_orders(pages[key], actor=actor) for key, (_, actor) in wanted.items()}
    answers = [call.tagged(tags[key]) for key, (call, _) in zip(keys, asked, strict=True)]
    shown = {
        key for key, answer in zip(keys, answers, strict=True) if answer.status == HTTPStatus.OK
    }
    items = items_of({order.id for key in shown for order in pages[key].rows})
    bodies = {}
    for key in shown:
        call, actor = wanted[key]
        documents = [
            order_document(order, items[order.id], actor=actor) for order in pages[key].rows
        ]
        links = pages[key].links(call.data.address, call.data.params)
        bodies[key] = encode({**links, "results": documents})
    for key, answer in zip(keys, answers, strict=True):
        if answer.status == HTTPStatus.OK:
            answer.body = bodies[key]
    return answers


def _key(call: FastPathCall) -> Any:
    # All staff are shown the same of everybody's orders, as `etag_of_orders` has it.
    owner = call.claims.user_id if call.action == "orders" else None
    return owner, call.request.query, call.data.address


def _wanted_page(call: FastPathCall) -> NewestPage | QuerySet[Any]:
    asked, owner = call.data.page, call.claims.user_id if call.action == "orders" else None
    if call.data.is_newest_first and not call.data.values and not asked.is_reverse:
        place = {} if asked.cursor is None else {"before_id": asked.cursor.id}
        return NewestPage(customer_id=owner, size=asked.size + 1, **place)
    orders = all_orders() if owner is None else orders_of(owner)
    return asked.of(AdminOrderFilters.narrowed(orders, call.data.values))


class _Single:
    """Single orders and their statuses, asked for before anybody knows who asks."""

    def __init__(self, calls: Sequence[FastPathCall]) -> None:
        # Whoever has a tag most likely needs nothing more than the order's own.
        whole = [call for call in calls if "if-none-match" not in call.request.headers]
        self._orders = asking_orders({call.data for call in calls})
        self._items = asking_items({call.data for call in whole if call.action != "status"})
        self._steps = asking_status_changes(
            {call.data for call in whole if call.action == "status"}
        )

    def answers(self, asked: Sequence[tuple[FastPathCall, Actor]]) -> list[FastPathAnswer]:
        orders, items, steps = self._orders(), self._items(), self._steps()
        answers = [_of_order(call, actor, orders.get(call.data)) for call, actor in asked]
        shown = [n for n, answer in enumerate(answers) if answer.status == HTTPStatus.OK]
        watched = {asked[n][0].data for n in shown if asked[n][0].action == "status"}
        listed = {asked[n][0].data for n in shown if asked[n][0].action != "status"}
        steps = {**steps, **status_changes_of(watched - steps.keys())}
        items = {**items, **items_of(listed - items.keys())}
        for number in shown:
            call, actor = asked[number]
            order = orders[call.data]
            if call.action == "status":
                document = status_document(order, history_seen_by(actor, steps[order.id]))
            else:
                document = order_document(order, items[order.id], actor=actor)
            answers[number].body = encode(document)
        return answers


def _of_order(call: FastPathCall, actor: Actor, order: OrderRow | None) -> FastPathAnswer:
    """The answer but for its body: 200, or 304, or why not."""
    if order is None or not actor.may_see_of(order.customer_id):
        return call.refused(NotFound())
    return call.tagged(etag_for(order.version))
