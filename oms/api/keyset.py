"""Keyset pagination: each page begins after the last object of the previous one.

Without OFFSET a deep page costs as much as the first, and objects that are added or removed between
two requests neither shift nor repeat the others.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Generic, TypeVar
from urllib.parse import urlencode

import msgspec
from django.core import signing
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet

from oms.db.settled import settled_until
from oms.http.payloads import encode
from oms.http.queries import InvalidQuery, query_error

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 200
DEFAULT_ORDERING = "-id"
# The query parameters of every list.
PARAMETERS = frozenset({"cursor", "page_size", "ordering"})

Row = TypeVar("Row")


@dataclass(frozen=True, kw_only=True, slots=True)
class Ordering:
    """`name` is the parameter's, with a minus where descending; `field` is the queryset's."""

    name: str
    field: str

    @property
    def descending(self) -> bool:
        return self.name.startswith("-")

    def terms(self, *, reverse: bool) -> list[str]:
        """The terms of ORDER BY, as Django has them; ties are broken by id."""
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Cursor:
    """A place in a list: just after the object (value, id), or just before it if `reverse`."""

    reverse: bool
    value: Any
    id: Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Page(Generic[Row]):
    """The rows of a page, and the cursors of its neighbours."""

    rows: Sequence[Row]
    next: str | None
    previous: str | None

    def links(self, address: str, params: Mapping[str, str]) -> dict[str, str | None]:
        """`next` and `previous` as addresses; `address` is the list's own, without its query."""

        def link(cursor: str | None) -> str | None:
            query = sorted({**params, "cursor": cursor}.items())
            return None if cursor is None else f"{address}?{urlencode(query)}"

        return {"next": link(self.next), "previous": link(self.previous)}


@dataclass(frozen=True, kw_only=True, slots=True)
class PageRequest:
    """The page that a query names: its size, the ordering, and where it begins.

    `scope` names the list and its filters: cursors are signed with it, and are valid for it alone.
    Who follows the changes of a list (`is_following`) gets them when they are settled.
    """

    scope: str
    size: int
    ordering: Ordering
    cursor: Cursor | None
    is_following: bool = False

    @property
    def is_reverse(self) -> bool:
        """Whether the page is read backwards, from the object after it."""
        return self.cursor is not None and self.cursor.reverse

    def of(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """What to read of `queryset`: the page, and one more to see whether there are more."""
        reverse = self.is_reverse
        if self.is_following:
            queryset = queryset.filter(**{f"{self.ordering.field}__lt": settled_until()})
        if self.cursor is not None:
            beyond = self.ordering.beyond(self.cursor.value, self.cursor.id, reverse=reverse)
            queryset = queryset.filter(beyond)
        return queryset.order_by(*self.ordering.terms(reverse=reverse))[: self.size + 1]

    def page(self, rows: Sequence[Row]) -> Page[Row]:
        """The page that was read, in the order of the list."""
        reverse = self.is_reverse
        more, page = len(rows) > self.size, rows[: self.size]
        if reverse:
            page = page[::-1]
        # On the cursor's side there is the object that it names.
        has_next, has_previous = more or reverse, self.cursor and (more or not reverse)
        return Page(
            rows=page,
            next=self._beside(page[-1], reverse=False) if page and has_next else None,
            previous=self._beside(page[0], reverse=True) if page and has_previous else None,
        )

    def _beside(self, row: Any, *, reverse: bool) -> str:
        value = None if self.ordering.field == "id" else _value(row, self.ordering.field)
        content = [self.ordering.name, reverse, value, _value(row, "id")]
        payload = base64.urlsafe_b64encode(encode(content)).decode().rstrip("=")
        return _signer().sign(self.scope + payload).removeprefix(self.scope)


def page_request(
    params: Mapping[str, str],
    *,
    path: str,
    model: Any,
    orderings: Mapping[str, str],
    default_ordering: str = DEFAULT_ORDERING,
    annotations: Mapping[str, Any] | None = None,
) -> PageRequest:
    """The page of the list of `model` at `path` that the parameters name. Raises InvalidQuery.

    `orderings` are the fields of the list, which are never null, by the names that `ordering` takes
    for them; `annotations` are expressions among them.
    """
    ordering = _ordering(params, orderings, default_ordering)
    filters = sorted((name, text) for name, text in params.items() if name not in PARAMETERS)
    scope = f"{path}?{urlencode(filters)}:"
    return PageRequest(
        scope=scope,
        size=page_size(params),
        ordering=ordering,
        cursor=_cursor(params, scope, ordering, model, annotations or {}),
        is_following=ordering.name == "updated_at" and "updated_since" in params,
    )


@cache
def _signer() -> signing.Signer:
    return signing.Signer(salt="oms.api.pagination", sep=".")


def _cursor(
    params: Mapping[str, str],
    scope: str,
    ordering: Ordering,
    model: Any,
    annotations: Mapping[str, Any],
) -> Cursor | None:
    text = params.get("cursor")
    if text is None:
        return None
    try:
        payload = _signer().unsign(scope + text).removeprefix(scope)
        name, reverse, value, id = msgspec.json.decode(
            base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
        )
        if name != ordering.name:
            raise ValueError("The cursor belongs to another ordering.")
        return Cursor(
            reverse=reverse,
            value=_typed(model, annotations, ordering.field, value),
            id=_typed(model, annotations, "id", id),
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


def page_size(params: Mapping[str, str]) -> int:
    """What `page_size` asks for. Raises InvalidQuery."""
    text = params.get("page_size")
    if text is None:
        return DEFAULT_PAGE_SIZE
    size = int(text) if text.isascii() and text.isdecimal() and len(text) <= 4 else 0
    if not 1 <= size <= MAX_PAGE_SIZE:
        detail = f"A whole number from 1 to {MAX_PAGE_SIZE}."
        raise InvalidQuery([query_error("page_size", code="out_of_range", detail=detail)])
    return size


def _ordering(
    params: Mapping[str, str], orderings: Mapping[str, str], default_ordering: str
) -> Ordering:
    name = params.get("ordering", default_ordering)
    fields = ordering_fields(orderings)
    if (field := fields.get(name.removeprefix("-"))) is not None:
        return Ordering(name=name, field=field)
    detail = f"One of {', '.join(sorted(fields))}, with a minus before it for descending order."
    raise InvalidQuery([query_error("ordering", code="invalid_choice", detail=detail)])


def ordering_fields(orderings: Mapping[str, str]) -> dict[str, str]:
    """The fields of a list by all names that `ordering` takes: the id is always among them."""
    return {"id": "id", **orderings}


def _value(row: Any, path: str) -> Any:
    for name in path.split("__"):
        row = row[name] if isinstance(row, Mapping) else getattr(row, name)
    return row


def _typed(model: Any, annotations: Mapping[str, Any], path: str, value: Any) -> Any:
    """The `value` out of a cursor as Python knows the field `path`. Raises ValidationError."""
    annotation = annotations.get(path)
    if annotation is not None:
        return annotation.output_field.to_python(value)
    *relations, last = path.split("__")
    for relation in relations:
        model = model._meta.get_field(relation).related_model
    return model._meta.get_field(last).to_python(value)
