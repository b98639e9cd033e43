"""Filters of the lists of orders."""

from __future__ import annotations

from oms.http.filters import (
    ApiFilterSet,
    ChoiceFilter,
    ChoiceInFilter,
    InstantFilter,
    SearchFilter,
    TextFilter,
    UUIDFilter,
)
from orders.models import Order
from orders.states import FulfilmentState, OrderStatus, PaymentState


class OrderFilters(ApiFilterSet):
    status = ChoiceFilter(choices=OrderStatus.choices)
    status__in = ChoiceInFilter(field_name="status", choices=OrderStatus.choices)
    created_at__gte = InstantFilter(field_name="placed_at", lookup_expr="gte")
    created_at__lt = InstantFilter(field_name="placed_at", lookup_expr="lt")
    updated_since = InstantFilter(field_name="updated_at", lookup_expr="gte")
    search = SearchFilter(fields=("number", "note"))

    class Meta:
        model = Order
        fields: list[str] = []


class AdminOrderFilters(OrderFilters):
    customer_id = UUIDFilter()
    payment_status = ChoiceFilter(choices=PaymentState.choices)
    fulfilment_status = ChoiceFilter(choices=FulfilmentState.choices)
    number = TextFilter()
    search = SearchFilter(fields=("number", "customer__email", "customer__full_name", "note"))

    class Meta:
        model = Order
        fields: list[str] = []
