"""Filters of the payment list."""

from __future__ import annotations

from oms.api.filters import (
    ApiFilterSet,
    ChoiceFilter,
    ChoiceInFilter,
    CreationFilter,
    InstantFilter,
    UUIDFilter,
)
from payments.gateways.registry import GATEWAYS
from payments.states import PaymentStatus


class PaymentFilters(ApiFilterSet):
    status = ChoiceFilter(choices=PaymentStatus.choices)
    status__in = ChoiceInFilter(field_name="status", choices=PaymentStatus.choices)
    order_id = UUIDFilter()
    provider = ChoiceFilter(choices=[(name, name) for name in GATEWAYS])
    created_at__gte = CreationFilter(field_name="created_at", lookup_expr="gte")
    created_at__lt = CreationFilter(field_name="created_at", lookup_expr="lt")
    updated_since = InstantFilter(field_name="updated_at", lookup_expr="gte")
