"""Pages of lists in views; see oms/api/keyset.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response

from oms.api.keyset import (
    DEFAULT_PAGE_SIZE,
    MAX_PAGE_SIZE,
    ordering_fields,
    page_request,
)


class KeysetPagination(BasePagination):
    """`{"next": url or null, "previous": url or null, "results": […]}`.

    The view's `orderings` maps names that `ordering` takes to fields of the queryset, which are
    never null; it always takes `id`. The view's `default_ordering` is "-id" if it does not say
    otherwise: ids are UUIDv7, so that is newest first. Ties are broken by id.
    """

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> Any:
        page = page_request(
            request.query_params.dict(),
            path=request.path,
            model=queryset.model,
            orderings=view.orderings,
            default_ordering=view.default_ordering,
            annotations=queryset.query.annotations,
        )
        self.request, self.page = request, page.page(list(page.of(queryset)))
        return self.page.rows

    def get_paginated_response(self, data: Any) -> Response:
        url = self.request.build_absolute_uri(self.request.path)
        links = self.page.links(url, self.request.query_params.dict())
        return Response({**links, "results": data})

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        names = [sign + name for name in ordering_fields(view.orderings) for sign in ("", "-")]
        ordering = {
            "name": "ordering",
            "in": "query",
            "description": "The sort order; a minus means descending. Ties are sorted by id.",
            "schema": {"type": "string", "enum": names, "default": view.default_ordering},
        }
        page_size = {"type": "integer", "minimum": 1, "maximum": MAX_PAGE_SIZE}
        return [
            {
                "name": "cursor",
                "in": "query",
                "description": "A place in the list, from `next` or `previous`.",
                "schema": {"type": "string", "pattern": r"^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$"},
            },
            {
                "name": "page_size",
                "in": "query",
                "description": "How many objects a page has at most.",
                "schema": {**page_size, "default": DEFAULT_PAGE_SIZE},
            },
            ordering,
        ]

    def get_paginated_response_schema(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        link = {"type": ["string", "null"], "format": "uri"}
        return {
            "type": "object",
            "required": ["next", "previous", "results"],
            "properties": {
                "next": {
                    **link,
                    "description": "The page after this one.",
                    "example": "https://shop.example.com/api/v1/things?cursor=WyItaWQiXQ.c2ln",
                },
                "previous": {
                    **link,
                    "description": "The page before this one.",
                    "example": None,
                },
                "results": schema,
            },
        }
