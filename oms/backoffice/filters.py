"""Filters of the back office's lists."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any, ClassVar

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import DropdownFilter, RangeDateFilter

from oms.core.clock import business_days
from oms.core.ids import first_id_at
from oms.queue.leases import given_up


class BusinessDateFilter(RangeDateFilter):
    """A datetime within business days, both ends included. Invalid dates are ignored."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        first = _date(self.used_parameters.get(f"{self.parameter_name}_from"))
        last = _date(self.used_parameters.get(f"{self.parameter_name}_to"))
        if first is not None:
            queryset = self.bounded(queryset, "gte", business_days(first, first).start)
        if last is not None:
            queryset = self.bounded(queryset, "lt", business_days(last, last).end)
        return queryset

    def bounded(self, queryset: QuerySet[Any], lookup: str, at: datetime) -> QuerySet[Any]:
        """The rows on one side of `at`; `lookup` is "gte" or "lt"."""
        return queryset.filter(**{f"{self.parameter_name}__{lookup}": at})


class CreationDateFilter(BusinessDateFilter):
    """The date of creation, for rows whose ids are UUIDv7 of about that time.

    Lists are sorted by id, so the range of ids is given too, as in `oms.api.filters`.
    """

    TOLERANCE: ClassVar[timedelta] = timedelta(hours=1)

    def bounded(self, queryset: QuerySet[Any], lookup: str, at: datetime) -> QuerySet[Any]:
        tolerance = -self.TOLERANCE if lookup == "gte" else self.TOLERANCE
        rows = super().bounded(queryset, lookup, at)
        return rows.filter(**{f"pk__{lookup}": first_id_at(at + tolerance)})


class GivenUpFilter(DropdownFilter):
    """The rows that were retried as often as is allowed, and have no outcome."""

    title = _("retries")
    parameter_name = "given_up"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("yes", _("given up"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() != "yes":
            return queryset
        return queryset & given_up(queryset.model)


def _date(value: Any) -> date | None:
    try:
        day = date.fromisoformat(value or "")
    except ValueError:
        return None
    # Within the years in which the next day and its start in UTC exist.
    return day if 1900 <= day.year <= 9000 else None
