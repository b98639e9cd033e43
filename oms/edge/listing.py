"""What lists the hot lane is asked for: those whose query is in simple good order."""

from __future__ import annotations

import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from inventory.api.views import ProductViewSet
from oms.http.keyset import DEFAULT_ORDERING, PARAMETERS, PageAsked, page_asked
from oms.http.queries import InvalidQuery
from orders.api.views import Orders

# Parameters that need no decoding, each with a value.
_PLAIN = re.compile(rb"(?:[a-z_]+=[A-Za-z0-9_.,:~-]+(?:&(?!\Z)|\Z))*")
_LONGEST = 1_000
# What may have to look through the whole catalogue would keep everybody else waiting.
_SLOW = frozenset({"search", "in_stock"})
_PRODUCT_PARAMETERS = PARAMETERS | (ProductViewSet.filterset_class.base_filters.keys() - _SLOW)


@dataclass(frozen=True, kw_only=True, slots=True)
class ListAsked:
    """A page of a list: the query's parameters and what they mean.

    `values` are those of filters, by their names; `address` is the list's own, without its query.
    """

    params: Mapping[str, str]
    page: PageAsked
    values: Mapping[str, Any]
    address: str


@lru_cache(maxsize=1024)
def own_orders_asked(query: bytes, *, address: str) -> ListAsked | None:
    """The page of the caller's own orders, newest first; None for what is left to Django."""
    asked = _asked(Orders, query, address=address, known=PARAMETERS)
    if asked is None or asked.page.ordering.name != DEFAULT_ORDERING or asked.page.is_reverse:
        return None
    return asked


@lru_cache(maxsize=1024)
def products_asked(query: bytes, *, address: str) -> ListAsked | None:
    """The page of products; None for what is left to Django."""
    return _asked(ProductViewSet, query, address=address, known=_PRODUCT_PARAMETERS)


def _asked(view: Any, query: bytes, *, address: str, known: AbstractSet[str]) -> ListAsked | None:
    if len(query) > _LONGEST or not _PLAIN.fullmatch(query):
        return None
    parts = query.decode("ascii").split("&") if query else []
    params = dict(part.split("=") for part in parts)
    if len(params) != len(parts) or not params.keys() <= known:
        return None
    filterset = view.filterset_class
    try:
        page = page_asked(
            params,
            model=filterset._meta.model,
            orderings=view.orderings,
            default_ordering=view.default_ordering,
        )
        values = filterset.cleaned(params)
    except InvalidQuery:  # which Django words
        return None
    return ListAsked(params=params, page=page, values=values, address=address)
