"""The handler of reading orders: single ones, their statuses, and lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from oms.api.handlers import ApiAnswer, ApiCall, Handler, ListQuery
from oms.api.keyset import Page, PageRequest
from oms.core.actor import Actor
from oms.core.errors import NotFound, PermissionDenied
from oms.core.permissions import Permission
from oms.db.pipeline import Pipeline, rows_of
from oms.http.etags import etag_for, etag_of_list
from oms.http.payloads import encode
from orders.api.filters import AdminOrderFilters, OrderFilters
from orders.api.outputs import order_document, status_document
from orders.queries import (
    NewestPage,
    all_orders,
    history_visible_to,
    orders_of,
    query_items,
    query_orders,
    query_pages,
    query_status_changes,
    visible_order,
)
from orders.rows import ItemRow, OrderRow
from orders.search import made_before_but_changed_since, made_since

_LISTS = frozenset({"own_orders", "all_orders"})
# Each filter of all orders that has an index which leads to a page by id, within a range of ids
# too. Of two at once there may be few among many, and so there may of several statuses.
_RANGE = frozenset({"created_at__gte", "created_at__lt"})
_CHANGED = frozenset({"updated_since"})
# Values that nearly all orders have, or few old ones.
_NOT_INDEXED = {("payment_status", "paid"), ("fulfilment_status", "unfulfilled")}


def is_fast_own_list(query: ListQuery) -> bool:
    """Whether an index finds the page of a customer's orders: the newest ones."""
    return query.is_newest_first and not query.values


def is_fast_list(query: ListQuery) -> bool:
    """Whether an index finds the page of all orders for any values."""
    filters = query.values.keys()
    if query.page.ordering.field == "updated_at":
        return filters <= _CHANGED
    if not _NOT_INDEXED.isdisjoint(query.values.items()):
        return False
    return filters.isdisjoint(_CHANGED) and len(filters - _RANGE) <= 1


class ReadOrders(Handler):
    """Reads an "order", its "status", or pages of "own_orders" or "all_orders"."""

    def __init__(
        self, calls: Sequence[ApiCall], *, pipeline: Pipeline, cache_version: str | None = None
    ) -> None:
        super().__init__(calls, pipeline=pipeline, cache_version=cache_version)
        single = [call for call in calls if call.name not in _LISTS]
        # A client that sends an ETag most likely needs only the order's ETag.
        whole = [call for call in single if call.if_none_match is None]
        ids = {call.data for call in single}
        self._orders = query_orders(ids, pipeline=pipeline) if ids else None
        self._items = query_items({c.data for c in whole if c.name == "order"}, pipeline=pipeline)
        self._status_changes = query_status_changes(
            {call.data for call in whole if call.name == "status"}, pipeline=pipeline
        )

    def answers(self, calls: Sequence[ApiCall]) -> list[ApiAnswer]:
        allowed = [call for call in calls if _may_read(call)]
        pages = iter(self._pages([call for call in allowed if call.name in _LISTS]))
        single = iter(self._single([call for call in allowed if call.name not in _LISTS]))
        return [
            next(pages if call.name in _LISTS else single)
            if _may_read(call)
            else call.refused(PermissionDenied(Permission.ORDERS_VIEW))
            for call in calls
        ]

    def _single(self, calls: Sequence[ApiCall]) -> list[ApiAnswer]:
        if self._orders is None:
            return []
        orders = {order.id: order for order in self._orders.rows()}
        answers = [_of_order(call, orders.get(call.data)) for call in calls]
        shown = [
            (call, answer)
            for call, answer in zip(calls, answers, strict=True)
            if answer.status == HTTPStatus.OK
        ]
        items, changes = self._items.rows(), self._status_changes.rows()
        # Those of callers whose ETag has turned out to be an old one.
        more = {call.data for call, _ in shown if call.name == "order"} - items.keys()
        items |= query_items(more, pipeline=self.pipeline).rows()
        more = {call.data for call, _ in shown if call.name == "status"} - changes.keys()
        changes |= query_status_changes(more, pipeline=self.pipeline).rows()
        for call, answer in shown:
            order, actor = orders[call.data], call.actor
            if call.name == "status":
                history = history_visible_to(actor, changes[order.id])
                answer.body = encode(status_document(order, history))
            else:
                answer.body = encode(order_document(order, items[order.id], actor=actor))
        return answers

    def _pages(self, calls: Sequence[ApiCall]) -> list[ApiAnswer]:
        """Pages of orders; calls for the same page share everything."""
        if not calls:
            return []
        keys = [_page_key(call) for call in calls]
        distinct = dict(zip(keys, calls, strict=True))
        pages = dict(zip(distinct, self._read(list(distinct.values())), strict=True))
        tags = {key: _etag_of(pages[key], actor=call.actor) for key, call in distinct.items()}
        answers = [call.tagged(tags[key]) for key, call in zip(keys, calls, strict=True)]
        shown = {key for key, one in zip(keys, answers, strict=True) if one.status == HTTPStatus.OK}
        ids = {order.id for key in shown for order in pages[key].rows}
        items = query_items(ids, pipeline=self.pipeline).rows()
        bodies = {key: _body(distinct[key], pages[key], items) for key in shown}
        for key, answer in zip(keys, answers, strict=True):
            if answer.status == HTTPStatus.OK:
                answer.body = bodies[key]
        return answers

    def _read(self, calls: Sequence[ApiCall]) -> list[Page[OrderRow]]:
        selected = [_selection(call) for call in calls]
        found = iter(
            query_pages([s for s in selected if not isinstance(s, list)], pipeline=self.pipeline)
        )
        return [
            call.data.page.page(rows if isinstance(rows, list) else next(found))
            for call, rows in zip(calls, selected, strict=True)
        ]


def _of_order(call: ApiCall, order: OrderRow | None) -> ApiAnswer:
    """The answer but for its body: 200, 304, or the refusal."""
    try:
        return call.tagged(etag_for(visible_order(order, actor=call.actor).version))
    except (NotFound, PermissionDenied) as error:
        return call.refused(error)


def _may_read(call: ApiCall) -> bool:
    """Whether the caller may read the list; of single orders it is not known yet."""
    return call.name != "all_orders" or call.actor.may(Permission.ORDERS_VIEW)


def _owner(call: ApiCall) -> UUID | None:
    """The customer of whose orders the list is; None for all orders."""
    return call.actor.id if call.name == "own_orders" else None


def _page_key(call: ApiCall) -> Any:
    # Staff with the same permissions see the same list of all orders, as `_etag_of` has it.
    return _owner(call), call.data.key, call.actor.held


def _selection(call: ApiCall) -> NewestPage | QuerySet[Any] | list[OrderRow]:
    """The page to read; its rows where one query cannot find them."""
    owner, query, page = _owner(call), call.data, call.data.page
    if query.is_newest_first and not query.values and not page.is_reverse:
        place = {} if page.cursor is None else {"before_id": page.cursor.id}
        return NewestPage(customer_id=owner, size=page.size + 1, **place)
    orders = all_orders() if owner is None else orders_of(owner)
    filters = AdminOrderFilters if owner is None else OrderFilters
    orders = filters.narrowed(orders, query.values)
    since = query.values.get("updated_since")
    if owner is None and since is not None and page.ordering.field == "id":
        return _rows_changed_since(since, orders, page=page)
    return page.of(orders)


def _rows_changed_since(
    moment: datetime, orders: QuerySet[Any], *, page: PageRequest
) -> list[OrderRow]:
    """The rows of a page by id of `orders`, all of which were changed since `moment`.

    Orders made since are read along the index of ids; walking past older ones that did not change
    would take too long.
    """
    cursor, backwards = page.cursor, page.ordering.descending != page.is_reverse
    within = Q()
    if cursor is not None:
        within = page.ordering.beyond(cursor.value, cursor.id, reverse=cursor.reverse)
    newer = made_since(orders, moment=moment)
    older = made_before_but_changed_since(orders, moment=moment, within=within)
    rows: list[OrderRow] = []
    for part in (newer, older) if backwards else (older, newer):
        if len(rows) <= page.size:
            rows += rows_of(OrderRow, page.of(part))
    return rows[: page.size + 1]


def _etag_of(page: Page[OrderRow], *, actor: Actor) -> str:
    """The ETag of a page: all that is shown of an order follows from its version and the actor."""
    versions = [(order.id.int, order.version) for order in page.rows]
    held = sorted(actor.held) if actor.is_staff else []
    return etag_of_list([actor.kind.value, held, page.next, page.previous, versions])


def _body(call: ApiCall, page: Page[OrderRow], items: Mapping[UUID, Sequence[ItemRow]]) -> bytes:
    documents = [order_document(order, items[order.id], actor=call.actor) for order in page.rows]
    return encode({**page.links(call.data.url, call.data.params), "results": documents})
