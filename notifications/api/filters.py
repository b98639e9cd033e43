"""Filters of notifications."""

from __future__ import annotations

from notifications.models import Kind
from oms.api.filters import (
    ApiFilterSet,
    BooleanFilter,
    ChoiceFilter,
    ChoiceInFilter,
    CreationFilter,
    UUIDFilter,
)

_CUSTOMER_KINDS = [choice for choice in Kind.choices if choice[0] != Kind.LOW_STOCK]


class NotificationFilters(ApiFilterSet):
    unread = BooleanFilter(
        field_name="read_at",
        lookup_expr="isnull",
        help_text="true: only unread notifications; false: only read ones.",
    )
    kind = ChoiceFilter(choices=_CUSTOMER_KINDS)
    kind__in = ChoiceInFilter(field_name="kind", choices=_CUSTOMER_KINDS)
    order_id = UUIDFilter()
    created_at__gte = CreationFilter(field_name="created_at", lookup_expr="gte")
    created_at__lt = CreationFilter(field_name="created_at", lookup_expr="lt")
