"""Filters of lists by query parameters.

The FilterSet of a list names its parameters, each with one of the strict filters below:

    class OrderFilters(ApiFilterSet):
        status = ChoiceFilter(choices=OrderStatus.choices)
        status__in = ChoiceInFilter(field_name="status", choices=OrderStatus.choices)
        created_at__gte = CreationFilter(field_name="placed_at", lookup_expr="gte")
        created_at__lt = CreationFilter(field_name="placed_at", lookup_expr="lt")
        updated_since = InstantFilter(field_name="updated_at", lookup_expr="gte")
        search = SearchFilter(fields=("number", "customer__email"))

        class Meta:
            model = Order
            fields: list[str] = []
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import reduce
from operator import and_, or_
from typing import Any, ClassVar
from uuid import UUID

import django_filters
from django.db.models import Q, QuerySet
from django_filters.rest_framework import DjangoFilterBackend, FilterSet
from rest_framework.request import Request

from oms.core.errors import InputError
from oms.core.ids import first_id_at
from oms.core.timestamps import parse_instant
from oms.http.queries import InvalidQuery, check_query, query_error

# A parameter's schema in OpenAPI.
Schema = dict[str, Any]

MAX_TEXT_LENGTH = 100
MAX_SEARCH_WORDS = 8

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", flags=re.ASCII | re.IGNORECASE)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", flags=re.ASCII)
# For OpenAPI: not blank, and without control characters.
_CONTROL = r"\u0000-\u001f\u007f-\u009f"
_TEXT = rf"^[^{_CONTROL}]*[^\s{_CONTROL}][^{_CONTROL}]*$"
# Words are separated by spaces only, since regular expression dialects differ about white space.
_WORDS = rf"^ *[^\s{_CONTROL}]+( +[^\s{_CONTROL}]+){{0,{MAX_SEARCH_WORDS - 1}}} *$"


class InvalidValue(ValueError):
    """The value of a filter is invalid."""

    def __init__(self, code: str, detail: str) -> None:
        self.code, self.detail = code, detail
        super().__init__(detail)


class ApiFilter(django_filters.Filter):
    """A query parameter whose text `clean` parses, without a form field.

    `parameter_schema` is its schema in OpenAPI, `invalid` the code and detail of a text that
    `parse` refuses with ValueError.
    """

    parameter_schema: ClassVar[Any]
    invalid: ClassVar[tuple[str, str]]

    def clean(self, text: str) -> Any:
        """The value of the parameter. Raises InvalidValue."""
        try:
            return self.parse(text)
        except ValueError as error:
            raise InvalidValue(*self.invalid) from error

    def parse(self, text: str) -> Any:
        """The value of the parameter. Raises ValueError."""
        raise NotImplementedError


class ApiFilterSet(FilterSet):
    """The base of every list's filters."""

    @classmethod
    def cleaned(cls, params: Mapping[str, str]) -> dict[str, Any]:
        """The values of those `params` that are filters. Raises InvalidQuery, with all errors.

        Without Django's form of all filters, which costs more than most pages.
        """
        values: dict[str, Any] = {}
        errors: list[InputError] = []
        for name, text in params.items():
            if name not in cls.base_filters:
                continue
            try:
                values[name] = cls.base_filters[name].clean(text)
            except InvalidValue as error:
                errors.append(query_error(name, code=error.code, detail=error.detail))
        if errors:
            raise InvalidQuery(errors)
        return values

    @classmethod
    def narrowed(cls, queryset: QuerySet[Any], values: Mapping[str, Any]) -> QuerySet[Any]:
        """`queryset` filtered by the `cleaned` values."""
        for name, value in values.items():
            queryset = cls.base_filters[name].filter(queryset, value)
        return queryset


class StrictFilterBackend(DjangoFilterBackend):
    """Filters by the view's `filterset_class`. Raises InvalidQuery with all errors."""

    def filter_queryset(self, request: Request, queryset: Any, view: Any) -> Any:
        check_query(request.query_params, known=view.known_parameters())
        filterset: type[ApiFilterSet] | None = view.filterset_class
        if filterset is None:
            return queryset
        return filterset.narrowed(queryset, filterset.cleaned(request.query_params.dict()))


class ChoiceFilter(ApiFilter):
    """One of `choices`, exactly as written."""

    def __init__(
        self, *args: Any, choices: Sequence[tuple[str, Any]], lookup_expr: str = "exact", **kw: Any
    ) -> None:
        self.values = [str(value) for value, _ in choices]
        super().__init__(*args, lookup_expr=lookup_expr, **kw)

    @property
    def parameter_schema(self) -> Schema:
        return {"type": "string", "enum": self.values}

    def clean(self, text: str) -> Any:
        self.check([text])
        return text

    def check(self, texts: Sequence[str]) -> None:
        """Raise InvalidValue unless all `texts` are choices."""
        if wrong := [text for text in texts if text not in self.values]:
            detail = f"{', '.join(map(repr, wrong))}: not one of {', '.join(self.values)}."
            raise InvalidValue("invalid_choice", detail)


class ChoiceInFilter(ChoiceFilter):
    """Any of `choices`, separated by commas: `status__in=pending,confirmed`."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, lookup_expr="in", **options)

    @property
    def parameter_schema(self) -> Schema:
        return {"type": "array", "items": {"type": "string", "enum": self.values}, "minItems": 1}

    def clean(self, text: str) -> Any:
        texts = [part.strip() for part in text.split(",")]
        self.check(texts)
        return texts


class InstantFilter(ApiFilter):
    """An RFC 3339 timestamp with a time zone."""

    parameter_schema: ClassVar[Schema] = {"type": "string", "format": "date-time"}
    invalid = (
        "no_instant",
        "Use an RFC 3339 timestamp with a time zone: 2026-11-21T09:30:00Z (encode a + as %2B).",
    )

    def parse(self, text: str) -> datetime:
        return parse_instant(text)


class CreationFilter(InstantFilter):
    """The creation time of objects whose ids are UUIDv7 of about that time.

    Lists are ordered by id, so the range of ids is given too: by the column alone PostgreSQL would
    scan the list from its newest object to the range. The column decides; an id may be off
    by `SLACK`.
    """

    SLACK: ClassVar[timedelta] = timedelta(hours=1)

    def filter(self, qs: QuerySet[Any], value: Any) -> QuerySet[Any]:
        if value is None:
            return qs
        slack = -self.SLACK if self.lookup_expr in ("gt", "gte") else self.SLACK
        try:
            bound = value + slack
        except OverflowError:  # at the ends of the calendar, where no object is
            bound = value
        found: QuerySet[Any] = super().filter(qs, value)
        return found.filter(**{f"id__{self.lookup_expr}": first_id_at(bound)})


class DateFilter(ApiFilter):
    """A calendar day, YYYY-MM-DD."""

    parameter_schema: ClassVar[Schema] = {"type": "string", "format": "date"}
    invalid = ("no_date", "Use YYYY-MM-DD.")

    def parse(self, text: str) -> date:
        if not _DATE.fullmatch(text):
            raise ValueError("Not a date.")
        return date.fromisoformat(text)


class UUIDFilter(ApiFilter):
    """An id."""

    parameter_schema: ClassVar[Schema] = {"type": "string", "format": "uuid"}
    invalid = ("no_uuid", "Not a UUID.")

    def parse(self, text: str) -> UUID:
        if not _UUID.fullmatch(text):
            raise ValueError("Not a UUID.")
        return UUID(text)


class BooleanFilter(ApiFilter):
    """true or false."""

    parameter_schema: ClassVar[Schema] = {"type": "boolean"}

    def clean(self, text: str) -> bool:
        if text not in ("true", "false"):
            raise InvalidValue("no_boolean", "Use true or false.")
        return text == "true"


class TextFilter(ApiFilter):
    """Text without control characters, compared by the lookup; its spaces are significant."""

    def __init__(self, *args: Any, max_length: int = MAX_TEXT_LENGTH, **options: Any) -> None:
        self.max_length = max_length
        super().__init__(*args, **options)

    @property
    def parameter_schema(self) -> Schema:
        return {"type": "string", "minLength": 1, "maxLength": self.max_length, "pattern": _TEXT}

    def clean(self, text: str) -> str:
        if len(text) > self.max_length:
            raise InvalidValue("max_length", f"Use at most {self.max_length} characters.")
        if any(unicodedata.category(character) == "Cc" for character in text):
            raise InvalidValue("forbidden_character", "Control characters are not allowed.")
        return text


class SearchFilter(TextFilter):
    """Every word of the text occurs in one of `fields`, in any case."""

    parameter_schema: ClassVar[Schema] = {
        "type": "string",
        "minLength": 1,
        "maxLength": MAX_TEXT_LENGTH,
        "pattern": _WORDS,
        "description": "Every word must occur in the object, in any case.",
    }

    def __init__(self, *args: Any, fields: Sequence[str], **options: Any) -> None:
        self.fields = fields
        super().__init__(*args, **options)

    def clean(self, text: str) -> str:
        if len(text) > MAX_TEXT_LENGTH or len(text.split()) > MAX_SEARCH_WORDS:
            raise InvalidValue(
                "too_long",
                f"Search for at most {MAX_SEARCH_WORDS} words and {MAX_TEXT_LENGTH} characters.",
            )
        return super().clean(text)

    def filter(self, qs: QuerySet[Any], value: Any) -> QuerySet[Any]:
        if not value:
            return qs
        words = [
            reduce(or_, (Q(**{f"{field}__icontains": word}) for field in self.fields))
            for word in value.split()
        ]
        return qs.filter(reduce(and_, words))
