"""Pages of lists, as views answer them; see oms/api/keyset.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response

from oms.api.keyset import (
    DEFAULT_PAGE_SIZE,
    MAX_PAGE_SIZE,
    Page,
    PageAsked,
    ordering_fields,
    page_asked,
)


def asked_of(queryset: QuerySet[Any], request: Request, view: Any) -> PageAsked:
    """What the request asks of the view's list `queryset`. Raises InvalidQuery."""
    return page_asked(
        request.query_params.dict(),
        path=request.path,
        model=queryset.model,
        orderings=view.orderings,
        default_ordering=view.default_ordering,
        annotations=queryset.query.annotations,
    )


def page_document(request: Request, page: Page[Any], results: Any) -> dict[str, Any]:
    """The answer to a request that asked for the page, with what is shown of its rows."""
    address = request.build_absolute_uri(request.path)
    return {**page.links(address, request.query_params.dict()), "results": results}


class KeysetPagination(BasePagination):
    """`{"next": url or null, "previous": url or null, "results": […]}`.

    The view's `orderings` maps names that `ordering` takes to fields of the queryset, which are
    never null; it always takes `id`. The view's `default_ordering` is "-id" if it does not say
    otherwise: ids are UUIDv7, so that is newest first. Ties are broken by id.
    """

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> Any:
        asked = asked_of(queryset, request, view)
        self.request, self.page = request, asked.page(list(asked.of(queryset)))
        return self.page.rows

    def get_paginated_response(self, data: Any) -> Response:
        return Response(page_document(self.request, self.page, data))

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        names = [sign + name for name in ordering_fields(view.orderings) for sign in ("", "-")]
        ordering = {
            "name": "ordering",
            "in": "query",
            "description": "The order of the list; a minus turns it round. Ties go by id.",
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
