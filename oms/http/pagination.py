"""Pages of lists by keyset: each begins after the last object of the one before.

No OFFSET, so a page deep in a list costs as much as the first, and objects that come or go
between two pages neither shift nor repeat the others.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from django.core import signing
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import remove_query_param, replace_query_param

from oms.http.payloads import encode
from oms.http.queries import InvalidQuery, query_error

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 200
DEFAULT_ORDERING = "-id"


@dataclass(frozen=True, kw_only=True)
class _Ordering:
    """`name` is the parameter's, with a minus where descending; `field` is the queryset's."""

    name: str
    field: str

    @property
    def descending(self) -> bool:
        return self.name.startswith("-")

    def terms(self, *, reverse: bool) -> list[str]:
        sign = "-" if self.descending != reverse else ""
        return [f"{sign}{field}" for field in dict.fromkeys((self.field, "id"))]

    def beyond(self, value: Any, id: Any, *, reverse: bool) -> Q:
        """What comes after (value, id), or before it if `reverse`."""
        side = "lt" if self.descending != reverse else "gt"
        if self.field == "id":
            return Q(**{f"id__{side}": id})
        # The first condition says nothing new; it is the one that an index answers.
        return Q(**{f"{self.field}__{side}e": value}) & (
            Q(**{f"{self.field}__{side}": value}) | Q(**{f"id__{side}": id})
        )


@dataclass(frozen=True, kw_only=True)
class _Cursor:
    """A place in a list: just after the object (value, id), or just before it if `reverse`."""

    reverse: bool
    value: Any
    id: Any


class KeysetPagination(BasePagination):
    """`{"next": url or null, "previous": url or null, "results": […]}`.

    The view's `orderings` maps names that `ordering` takes to fields of the queryset, which are
    never null; it always takes `id`. The view's `default_ordering` is "-id" if it does not say
    otherwise: ids are UUIDv7, so that is newest first. Ties are broken by id.
    """

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        self.request = request
        size = _page_size(request)
        self.ordering = _ordering(request, view)
        cursor = self._cursor(queryset)
        reverse = cursor is not None and cursor.reverse
        if cursor is not None:
            queryset = queryset.filter(
                self.ordering.beyond(cursor.value, cursor.id, reverse=reverse)
            )
        rows = list(queryset.order_by(*self.ordering.terms(reverse=reverse))[: size + 1])
        more, page = len(rows) > size, rows[:size]
        if reverse:
            page.reverse()
        # On the side where the cursor stands there is the object that it names.
        self.next = page[-1] if page and (more or reverse) else None
        self.previous = page[0] if page and cursor and (more or not reverse) else None
        return page

    def get_paginated_response(self, data: Any) -> Response:
        return Response(
            {
                "next": self._link(self.next, reverse=False),
                "previous": self._link(self.previous, reverse=True),
                "results": data,
            }
        )

    def _link(self, neighbour: Any, *, reverse: bool) -> str | None:
        if neighbour is None:
            return None
        value = None if self.ordering.field == "id" else _value(neighbour, self.ordering.field)
        content = [self.ordering.name, reverse, value, _value(neighbour, "id")]
        payload = base64.urlsafe_b64encode(encode(content)).decode().rstrip("=")
        url = remove_query_param(self.request.build_absolute_uri(), "cursor")
        return str(replace_query_param(url, "cursor", _signer().sign(payload)))

    def _cursor(self, queryset: QuerySet[Any]) -> _Cursor | None:
        text = self.request.query_params.get("cursor")
        if text is None:
            return None
        try:
            payload = _signer().unsign(text)
            name, reverse, value, id = orjson.loads(
                base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
            )
            if name != self.ordering.name:
                raise ValueError("The cursor belongs to another ordering.")
            return _Cursor(
                reverse=reverse,
                value=_typed(queryset, self.ordering.field, value),
                id=_typed(queryset, "id", id),
            )
        except (signing.BadSignature, binascii.Error, ValueError, ValidationError) as error:
            raise InvalidQuery(
                [
                    query_error(
                        "cursor",
                        code="invalid_cursor",
                        detail="Not a cursor of this list; take it from `next` or `previous`.",
                    )
                ]
            ) from error

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        names = [sign + name for name in _fields(view) for sign in ("", "-")]
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


# The query parameters of every list.
PARAMETERS = frozenset({"cursor", "page_size", "ordering"})


def _signer() -> signing.Signer:
    return signing.Signer(salt="oms.http.pagination", sep=".")


def _page_size(request: Request) -> int:
    text = request.query_params.get("page_size")
    if text is None:
        return DEFAULT_PAGE_SIZE
    size = int(text) if text.isascii() and text.isdecimal() and len(text) <= 4 else 0
    if not 1 <= size <= MAX_PAGE_SIZE:
        detail = f"A whole number from 1 to {MAX_PAGE_SIZE}."
        raise InvalidQuery([query_error("page_size", code="out_of_range", detail=detail)])
    return size


def _ordering(request: Request, view: Any) -> _Ordering:
    name = request.query_params.get("ordering", view.default_ordering)
    fields = _fields(view)
    if (field := fields.get(name.removeprefix("-"))) is not None:
        return _Ordering(name=name, field=field)
    detail = f"One of {', '.join(sorted(fields))}, with a minus before it to turn it round."
    raise InvalidQuery([query_error("ordering", code="invalid_choice", detail=detail)])


def _fields(view: Any) -> dict[str, str]:
    """The fields of the queryset by the names that `ordering` takes."""
    return {"id": "id", **view.orderings}


def _value(row: Any, path: str) -> Any:
    for name in path.split("__"):
        row = row[name] if isinstance(row, Mapping) else getattr(row, name)
    return row


def _typed(queryset: QuerySet[Any], path: str, value: Any) -> Any:
    """The `value` out of a cursor as Python knows the field `path`. Raises ValidationError."""
    annotation = queryset.query.annotations.get(path)
    if annotation is not None:
        return annotation.output_field.to_python(value)
    model = queryset.model
    *relations, last = path.split("__")
    for relation in relations:
        model = model._meta.get_field(relation).related_model
    return model._meta.get_field(last).to_python(value)
