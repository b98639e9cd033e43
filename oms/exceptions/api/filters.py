"""Filters of the list of exceptions."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from oms.api.filters import ApiFilterSet, BooleanFilter, ChoiceFilter, UUIDFilter
from oms.exceptions.kinds import ExceptionKind


class ResolvedFilter(BooleanFilter):
    """Only resolved ones (`true`), or only open ones (`false`)."""

    def filter(self, qs: QuerySet[Any], value: Any) -> QuerySet[Any]:
        return qs if value is None else qs.filter(resolved_at__isnull=not value)


class ExceptionFilters(ApiFilterSet):
    resolved = ResolvedFilter()
    kind = ChoiceFilter(choices=ExceptionKind.choices)
    order_id = UUIDFilter()
    payment_id = UUIDFilter()
