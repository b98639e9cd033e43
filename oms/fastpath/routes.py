"""The hot routes, as the URLconf knows them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

from django.urls import resolve

from oms.api.views import ApiView

PLACES = {"/api/v1/orders": "create", "/api/v1/orders/bulk": "create_many"}
LISTS = {
    "/api/v1/orders": "orders",
    "/api/v1/admin/orders": "all_orders",
    "/api/v1/products": "products",
}
_UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_OBJECT = re.compile(rf"/api/v1/(?:orders/({_UUID})(/status)?|products/({_UUID}))")

_ANY = "00000000-0000-0000-0000-000000000000"
_PATHS = {
    **{action: path for path, action in PLACES.items()},
    **{action: path for path, action in LISTS.items()},
    "retrieve": f"/api/v1/orders/{_ANY}",
    "status": f"/api/v1/orders/{_ANY}/status",
    "product": f"/api/v1/products/{_ANY}",
}
# Those that nobody in particular may ask for too.
PUBLIC = frozenset({"products", "product"})
# Those that only staff may ask for.
STAFFS = frozenset({"all_orders"})


@dataclass(frozen=True, kw_only=True)
class Route:
    """The pattern and the name of a route, and the methods that it allows, as Allow has them."""

    pattern: str
    view_name: str
    allow: str


@cache
def route_of(action: str) -> Route:
    """The route of an action of the lane."""
    match = resolve(_PATHS[action])
    view: Any = match.func
    methods = [
        method.upper()
        for method in ApiView.http_method_names
        if method in view.actions or (method == "head" and "get" in view.actions)
    ]
    return Route(pattern=match.route, view_name=match.view_name, allow=", ".join(methods))


def is_fast_path(method: str, path: str) -> bool:
    """Whether the lane may want such a request."""
    if method == "POST":
        return path in PLACES
    return method == "GET" and (path in LISTS or _OBJECT.fullmatch(path) is not None)


def object_at(path: str) -> tuple[str, UUID] | None:
    """The action and the id of a path that names one object."""
    match = _OBJECT.fullmatch(path)
    if match is None:
        return None
    order_id, status, product_id = match.groups()
    if product_id is not None:
        return "product", UUID(product_id)
    return "status" if status else "retrieve", UUID(order_id)
