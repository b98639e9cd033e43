"""Filters of the back office's lists."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.contrib.filters.admin import RangeDateFilter

from oms.core.clock import business_days


class BusinessDaysFilter(RangeDateFilter):
    """From one business day to another, both included, of a moment. What is no day is ignored."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        first = _day(self.used_parameters.get(f"{self.parameter_name}_from"))
        last = _day(self.used_parameters.get(f"{self.parameter_name}_to"))
        if first is not None:
            start = business_days(first, first).start
            queryset = queryset.filter(**{f"{self.parameter_name}__gte": start})
        if last is not None:
            end = business_days(last, last).end
            queryset = queryset.filter(**{f"{self.parameter_name}__lt": end})
        return queryset


def _day(value: Any) -> date | None:
    try:
        day = date.fromisoformat(value or "")
    except ValueError:
        return None
    # So that the day after it, and its moment in UTC, exist.
    return day if 1900 <= day.year <= 9000 else None
