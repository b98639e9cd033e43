"""What lists the hot lane is asked for: those whose query is in simple good order."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from inventory.api.views import ProductViewSet
from oms.api.keyset import PARAMETERS, PageAsked, page_asked
from oms.http.queries import InvalidQuery
from orders.api.staff import AdminOrders
from orders.api.views import Orders

# Parameters, each with a value, of which nothing but what moments and lists have is encoded: so do
# the links to a list's other pages.
_ENCODED = {"%2B": "+", "%2C": ",", "%3A": ":"}
_PLAIN = re.compile(rb"(?:[a-z_]+=(?:[A-Za-z0-9_.,:~-]|%2B|%2C|%3A)+(?:&(?!\Z)|\Z))*")
_LONGEST = 1_000
# What may have to look through the whole catalogue would keep everybody else waiting.
_SLOW = frozenset({"search", "in_stock"})
_PRODUCT_PARAMETERS = PARAMETERS | (ProductViewSet.filterset_class.base_filters.keys() - _SLOW)
# Of orders each of these has an index that leads to a page by id, within a range of ids too. Of two
# at once there may be few among many, and so there may of several statuses.
_RANGE = frozenset({"created_at__gte", "created_at__lt"})
_FOLLOWING = frozenset({"updated_since"})
_ONE_OF = AdminOrders.filterset_class.base_filters.keys() - {
    *_RANGE,
    *_FOLLOWING,
    "search",
    "status__in",
}
# But for these, which few old orders are, or nearly all.
_NOT_INDEXED = {("payment_status", "paid"), ("fulfilment_status", "unfulfilled")}


@dataclass(frozen=True, kw_only=True, slots=True)
class ListAsked:
    """A page of a list: the query's parameters and what they mean.

    `values` are those of filters, by their names; `address` is the list's own, without its query.
    """

    params: Mapping[str, str]
    page: PageAsked
    values: Mapping[str, Any]
    address: str

    @property
    def is_newest_first(self) -> bool:
        """Whether the list begins with the greatest ids."""
        return self.page.ordering.field == "id" and self.page.ordering.descending


@lru_cache(maxsize=1024)
def own_orders_asked(query: bytes, *, address: str) -> ListAsked | None:
    """The page of the caller's own orders, newest first; None for what is left to Django."""
    asked = _asked(Orders, query, address=address, known=PARAMETERS)
    return asked if asked is not None and asked.is_newest_first else None


@lru_cache(maxsize=1024)
def all_orders_asked(query: bytes, *, address: str) -> ListAsked | None:
    """The page of everybody's orders; None for what is left to Django."""
    known = PARAMETERS | _RANGE | _FOLLOWING | _ONE_OF
    asked = _asked(AdminOrders, query, address=address, known=known)
    if asked is None:
        return None
    filters = asked.values.keys()
    if asked.page.ordering.field == "updated_at":
        return asked if filters <= _FOLLOWING else None
    if not _NOT_INDEXED.isdisjoint(asked.values.items()):
        return None
    return asked if filters.isdisjoint(_FOLLOWING) and len(filters & _ONE_OF) <= 1 else None


@lru_cache(maxsize=1024)
def products_asked(query: bytes, *, address: str) -> ListAsked | None:
    """The page of products; None for what is left to Django."""
    return _asked(ProductViewSet, query, address=address, known=_PRODUCT_PARAMETERS)


def _asked(view: Any, query: bytes, *, address: str, known: AbstractSet[str]) -> ListAsked | None:
    if len(query) > _LONGEST or not _PLAIN.fullmatch(query):
        return None
    text = query.decode("ascii")
    if "%" in text:
        for code, character in _ENCODED.items():
            text = text.replace(code, character)
    parts = text.split("&") if text else []
    params = dict(part.split("=") for part in parts)
    if len(params) != len(parts) or not params.keys() <= known:
        return None
    filterset = view.filterset_class
    try:
        page = page_asked(
            params,
            path=urlsplit(address).path,
            model=filterset._meta.model,
            orderings=view.orderings,
            default_ordering=view.default_ordering,
        )
        values = filterset.cleaned(params)
    except InvalidQuery:  # which Django words
        return None
    return ListAsked(params=params, page=page, values=values, address=address)


# What each list's query asks for, by its action.
ASKED: Mapping[str, Callable[..., ListAsked | None]] = {
    "orders": own_orders_asked,
    "all_orders": all_orders_asked,
    "products": products_asked,
}
