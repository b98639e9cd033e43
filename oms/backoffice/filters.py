"""Filters of the back office's lists."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any, ClassVar

from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.contrib.filters.admin import RangeDateFilter

from oms.core.clock import business_days
from oms.core.ids import first_id_at


class BusinessDaysFilter(RangeDateFilter):
    """From one business day to another, both included, of a moment. What is no day is ignored."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        first = _day(self.used_parameters.get(f"{self.parameter_name}_from"))
        last = _day(self.used_parameters.get(f"{self.parameter_name}_to"))
        if first is not None:
            queryset = self.bounded(queryset, "gte", business_days(first, first).start)
        if last is not None:
            queryset = self.bounded(queryset, "lt", business_days(last, last).end)
        return queryset

    def bounded(self, queryset: QuerySet[Any], lookup: str, moment: datetime) -> QuerySet[Any]:
        """Those of the rows whose moment is on that side of `moment`: "gte" or "lt"."""
        return queryset.filter(**{f"{self.parameter_name}__{lookup}": moment})


class CreationDaysFilter(BusinessDaysFilter):
    """The days of the moment of creation, of rows whose ids are UUIDv7 of about that moment.

    Lists go by id, so a range of ids is named too, as `oms.api.filters.CreationFilter` does it.
    """

    SLACK: ClassVar[timedelta] = timedelta(hours=1)

    def bounded(self, queryset: QuerySet[Any], lookup: str, moment: datetime) -> QuerySet[Any]:
        """Those of the rows whose moment, and whose id, is on that side of `moment`."""
        found = super().bounded(queryset, lookup, moment)
        slack = -self.SLACK if lookup == "gte" else self.SLACK
        return found.filter(**{f"pk__{lookup}": first_id_at(moment + slack)})


def _day(value: Any) -> date | None:
    try:
        day = date.fromisoformat(value or "")
    except ValueError:
        return None
    # So that the day after it, and its moment in UTC, exist.
    return day if 1900 <= day.year <= 9000 else None
