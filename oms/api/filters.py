"""Filters of lists, out of the query.

A list's FilterSet names its parameters, and each is one of the strict filters below:

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

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import reduce
from operator import and_, or_
from typing import Any, ClassVar

import django_filters
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django_filters.rest_framework import DjangoFilterBackend, FilterSet
from rest_framework.request import Request

from oms.api.filter_fields import (
    MAX_SEARCH_LENGTH,
    MAX_SEARCH_WORDS,
    BooleanFormField,
    ChoiceInFormField,
    DateFormField,
    InstantFormField,
    SearchFormField,
    TextFormField,
    UUIDFormField,
)
from oms.core.errors import InputError
from oms.core.ids import first_id_at
from oms.http.queries import InvalidQuery, check_query, query_error

# A parameter's schema in OpenAPI; every filter here has one as `parameter_schema`.
Schema = dict[str, Any]

# Not blank, and without control characters; as OpenAPI says it.
_CONTROL = r"\u0000-\u001f\u007f-\u009f"
_TEXT = rf"^[^{_CONTROL}]*[^\s{_CONTROL}][^{_CONTROL}]*$"
# Spaces alone between words, for the languages of patterns differ about what else is one.
_WORDS = rf"^ *[^\s{_CONTROL}]+( +[^\s{_CONTROL}]+){{0,{MAX_SEARCH_WORDS - 1}}} *$"


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
                values[name] = cls.base_filters[name].field.clean(text)
            except ValidationError as error:
                errors += [
                    query_error(name, code=one.code or "invalid", detail=" ".join(one.messages))
                    for one in error.error_list
                ]
        if errors:
            raise InvalidQuery(errors)
        return values

    @classmethod
    def narrowed(cls, queryset: QuerySet[Any], values: Mapping[str, Any]) -> QuerySet[Any]:
        """Those of `queryset` that the `cleaned` values let through."""
        for name, value in values.items():
            queryset = cls.base_filters[name].filter(queryset, value)
        return queryset


class StrictFilterBackend(DjangoFilterBackend):
    """Filters by the view's `filterset_class`, and refuses what it does not know.

    Raises InvalidQuery with one error for each parameter at fault.
    """

    def filter_queryset(self, request: Request, queryset: Any, view: Any) -> Any:
        check_query(request.query_params, known=view.known_parameters())
        filterset: type[ApiFilterSet] | None = view.filterset_class
        if filterset is None:
            return queryset
        return filterset.narrowed(queryset, filterset.cleaned(request.query_params.dict()))


def _values(filter_: django_filters.Filter) -> list[str]:
    return [str(value) for value, _ in filter_.extra["choices"]]


class ChoiceFilter(django_filters.ChoiceFilter):
    """One of `choices`, exactly."""

    @property
    def parameter_schema(self) -> Schema:
        return {"type": "string", "enum": _values(self)}

    def __init__(self, *args: Any, **options: Any) -> None:
        options.setdefault("empty_label", None)
        super().__init__(*args, **options)


class ChoiceInFilter(django_filters.BaseCSVFilter, django_filters.ChoiceFilter):
    """Any of `choices`, with commas between: `status__in=pending,confirmed`."""

    field_class = ChoiceInFormField
    base_field_class = ChoiceInFormField

    @property
    def parameter_schema(self) -> Schema:
        return {
            "type": "array",
            "items": {"type": "string", "enum": _values(self)},
            "minItems": 1,
        }

    def __init__(self, *args: Any, **options: Any) -> None:
        django_filters.Filter.__init__(self, *args, **{"lookup_expr": "in", **options})

    def filter(self, qs: QuerySet[Any], value: Any) -> QuerySet[Any]:
        return django_filters.Filter.filter(self, qs, value)


class InstantFilter(django_filters.IsoDateTimeFilter):
    """A moment, RFC 3339 with a zone."""

    field_class = InstantFormField
    parameter_schema: ClassVar[Schema] = {"type": "string", "format": "date-time"}


class CreationFilter(InstantFilter):
    """A moment of creation, of objects whose ids are UUIDv7 of about that moment.

    Lists go by id, so a range of ids is named too: by the column alone PostgreSQL would walk
    through the list from its newest object until it meets the range. The column decides; an id may
    be off by `SLACK`.
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


class DateFilter(django_filters.DateFilter):
    """A calendar day, YYYY-MM-DD."""

    field_class = DateFormField
    parameter_schema: ClassVar[Schema] = {"type": "string", "format": "date"}


class UUIDFilter(django_filters.UUIDFilter):
    """An id."""

    field_class = UUIDFormField
    parameter_schema: ClassVar[Schema] = {"type": "string", "format": "uuid"}


class BooleanFilter(django_filters.BooleanFilter):
    """true or false."""

    field_class = BooleanFormField
    parameter_schema: ClassVar[Schema] = {"type": "boolean"}


class TextFilter(django_filters.CharFilter):
    """A text without control characters, compared as the lookup says, blanks at its ends too."""

    field_class = TextFormField

    @property
    def parameter_schema(self) -> Schema:
        length = self.extra["max_length"]
        return {"type": "string", "minLength": 1, "maxLength": length, "pattern": _TEXT}

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{"max_length": MAX_SEARCH_LENGTH, "strip": False, **options})


class SearchFilter(django_filters.CharFilter):
    """Every word of the text occurs in one of `fields`, in whatever case."""

    field_class = SearchFormField
    parameter_schema: ClassVar[Schema] = {
        "type": "string",
        "minLength": 1,
        "maxLength": MAX_SEARCH_LENGTH,
        "pattern": _WORDS,
        "description": "Every word of it occurs somewhere in the object, in whatever case.",
    }

    def __init__(self, *args: Any, fields: Sequence[str], **options: Any) -> None:
        self.fields = fields
        super().__init__(*args, **{"strip": False, **options})

    def filter(self, qs: QuerySet[Any], value: Any) -> QuerySet[Any]:
        if not value:
            return qs
        words = [
            reduce(or_, (Q(**{f"{field}__icontains": word}) for field in self.fields))
            for word in value.split()
        ]
        return qs.filter(reduce(and_, words))
