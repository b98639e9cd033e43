"""Filters of the lists of orders."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from oms.api.filters import (
    ApiFilterSet,
    ChoiceFilter,
    ChoiceInFilter,
    CreationFilter,
    InstantFilter,
    SearchFilter,
    TextFilter,
    UUIDFilter,
)
from orders.models import Order, OrderReturn
from orders.search import orders_found
from orders.states import FulfilmentState, OrderStatus, PaymentState, ReturnStatus


class AdminOrderSearch(SearchFilter):
    """Number, reference or customer, by indexes: the table is too long to look through."""

    def __init__(self) -> None:
        super().__init__(
            fields=(),
            help_text=(
                "The number begins or ends with it, the customer's e-mail address or name contains"
                " it, in any case, or it is the reference. All words must match."
            ),
        )

    def filter(self, qs: QuerySet[Any], value: Any) -> QuerySet[Any]:
        return orders_found(qs, text=value) if value else qs


class OrderFilters(ApiFilterSet):
    status = ChoiceFilter(choices=OrderStatus.choices)
    status__in = ChoiceInFilter(field_name="status", choices=OrderStatus.choices)
    created_at__gte = CreationFilter(field_name="placed_at", lookup_expr="gte")
    created_at__lt = CreationFilter(field_name="placed_at", lookup_expr="lt")
    updated_since = InstantFilter(field_name="updated_at", lookup_expr="gte")
    reference = TextFilter(help_text="The customer's own number of the order, exactly.")
    search = SearchFilter(
        fields=("number", "note"),
        help_text="All words must occur in the number or the note, in any case.",
    )

    class Meta:
        model = Order
        fields: list[str] = []


class AdminOrderFilters(OrderFilters):
    customer_id = UUIDFilter()
    payment_status = ChoiceFilter(choices=PaymentState.choices)
    fulfilment_status = ChoiceFilter(choices=FulfilmentState.choices)
    number = TextFilter()
    search = AdminOrderSearch()

    class Meta:
        model = Order
        fields: list[str] = []


class ReturnFilters(ApiFilterSet):
    status = ChoiceFilter(choices=ReturnStatus.choices)
    status__in = ChoiceInFilter(field_name="status", choices=ReturnStatus.choices)
    order_id = UUIDFilter()
    customer_id = UUIDFilter(field_name="order__customer_id")
    created_at__gte = CreationFilter(field_name="created_at", lookup_expr="gte")
    created_at__lt = CreationFilter(field_name="created_at", lookup_expr="lt")
    updated_since = InstantFilter(field_name="updated_at", lookup_expr="gte")

    class Meta:
        model = OrderReturn
        fields: list[str] = []
