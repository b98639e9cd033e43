"""Lists of orders: a page of rows, its tag, and what is shown of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet
from rest_framework.response import Response

from oms.api.keyset import Page, PageAsked
from oms.api.pagination import asked_of
from oms.api.views import ApiViewSet
from oms.core.actor import Actor
from oms.db.raw_queries import rows_of
from oms.http.etags import etag_of_list
from orders.api.outputs import order_document
from orders.queries import OrderRow, items_of
from orders.search import made_before_but_changed_since, made_since


def etag_of_orders(page: Page[OrderRow], *, actor: Actor) -> str:
    """The tag of the page: all that is shown of an order follows from its version and who asks."""
    versions = [(order.id.int, order.version) for order in page.rows]
    return etag_of_list([actor.kind.value, page.next, page.previous, versions])


def order_documents(page: Page[OrderRow], *, actor: Actor) -> list[dict[str, Any]]:
    """What `actor` is shown of the orders of one page; reads their items."""
    items = items_of([order.id for order in page.rows])
    return [order_document(order, items[order.id], actor=actor) for order in page.rows]


def rows_changed_since(
    moment: datetime, orders: QuerySet[Any], *, asked: PageAsked
) -> list[OrderRow]:
    """What is read for a page by id of `orders`, all of which were changed since `moment`.

    Those made since are walked through; past older ones that were not changed nobody walks.
    """
    cursor, backwards = asked.cursor, asked.ordering.descending != asked.is_reverse
    within = Q()
    if cursor is not None:
        within = asked.ordering.beyond(cursor.value, cursor.id, reverse=cursor.reverse)
    newer = made_since(orders, moment=moment)
    older = made_before_but_changed_since(orders, moment=moment, within=within)
    rows: list[OrderRow] = []
    for part in (newer, older) if backwards else (older, newer):
        if len(rows) <= asked.size:
            rows += rows_of(OrderRow, asked.of(part))
    return rows[: asked.size + 1]


class OrderListViewSet(ApiViewSet):
    """A view with a list of orders."""

    def page_of_orders(
        self, orders: QuerySet[Any], *, changed_since: datetime | None = None
    ) -> Response:
        """One page of `orders` with its ETag, or 304.

        `changed_since` is what the query's filter says, where the list may be too long to look for
        such orders in its own order.
        """
        orders = self.filter_queryset(orders)
        asked = asked_of(orders, self.request, self)
        if changed_since is None or asked.ordering.field != "id":
            rows = rows_of(OrderRow, asked.of(orders))
        else:
            rows = rows_changed_since(changed_since, orders, asked=asked)
        page = asked.page(rows)
        return self.respond_with_page(
            page,
            etag=etag_of_orders(page, actor=self.actor),
            show=lambda: order_documents(page, actor=self.actor),
        )
