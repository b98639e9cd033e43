"""Lists of orders: a page of rows, its tag, and what is shown of it."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from rest_framework.response import Response

from oms.core.actor import Actor
from oms.http.etags import etag_of_list
from oms.http.keyset import Page
from oms.http.views import ApiViewSet
from orders.api.outputs import order_document
from orders.queries import OrderRow, items_of


def etag_of_orders(page: Page[OrderRow], *, actor: Actor) -> str:
    """The tag of the page: all that is shown of an order follows from its version and who asks."""
    versions = [(order.id.int, order.version) for order in page.rows]
    return etag_of_list([actor.kind.value, page.next, page.previous, versions])


def order_documents(page: Page[OrderRow], *, actor: Actor) -> list[dict[str, Any]]:
    """What `actor` is shown of the orders of one page; reads their items."""
    items = items_of([order.id for order in page.rows])
    return [order_document(order, items[order.id], actor=actor) for order in page.rows]


class OrderListViewSet(ApiViewSet):
    """A view with a list of orders."""

    def page_of_orders(self, orders: QuerySet[Any]) -> Response:
        """One page of `orders` with its ETag, or 304."""
        page = self.page_of(OrderRow, orders)
        return self.respond_with_page(
            page,
            etag=etag_of_orders(page, actor=self.actor),
            show=lambda: order_documents(page, actor=self.actor),
        )
