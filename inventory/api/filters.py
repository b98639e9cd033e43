"""The filters of products and of the stock ledger."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, ClassVar

from django.db.models import QuerySet

from inventory.models import MovementKind, Product, StockDocument, StockMovement
from inventory.queries import products_in_stock
from oms.api.filters import (
    ApiFilter,
    ApiFilterSet,
    BooleanFilter,
    ChoiceFilter,
    CreationFilter,
    InstantFilter,
    SearchFilter,
    TextFilter,
    UUIDFilter,
)
from oms.core.currencies import MOST_DECIMALS

_AMOUNT = re.compile(rf"^(0|[1-9][0-9]{{0,15}})(\.[0-9]{{1,{MOST_DECIMALS}}})?$", flags=re.ASCII)


class AmountFilter(ApiFilter):
    """An amount of money."""

    parameter_schema: ClassVar[dict[str, Any]] = {"type": "string", "pattern": _AMOUNT.pattern}
    invalid = ("no_amount", "Use a decimal with at most three places, such as 129.90.")

    def parse(self, text: str) -> Decimal:
        if not _AMOUNT.fullmatch(text):
            raise ValueError("Not an amount.")
        return Decimal(text)


class InStockFilter(BooleanFilter):
    """Products with or without available stock."""

    def filter(self, qs: QuerySet[Any], value: Any) -> QuerySet[Any]:
        return qs if value is None else products_in_stock(qs, in_stock=value)


class ProductFilters(ApiFilterSet):
    search = SearchFilter(fields=("name", "sku"))
    category = TextFilter()
    is_active = BooleanFilter(help_text="Only staff see inactive products.")
    in_stock = InStockFilter(help_text="Whether any is available.")
    price__gte = AmountFilter(field_name="price", lookup_expr="gte")
    price__lte = AmountFilter(field_name="price", lookup_expr="lte")
    created_at__gte = InstantFilter(field_name="created_at", lookup_expr="gte")
    created_at__lt = InstantFilter(field_name="created_at", lookup_expr="lt")
    updated_since = InstantFilter(field_name="updated_at", lookup_expr="gte")

    class Meta:
        model = Product
        fields: list[str] = []


class LowStockFilters(ApiFilterSet):
    category = TextFilter()
    is_active = BooleanFilter()

    class Meta:
        model = Product
        fields: list[str] = []


class MovementFilters(ApiFilterSet):
    product_id = UUIDFilter()
    kind = ChoiceFilter(choices=MovementKind.choices)
    order_id = UUIDFilter()
    created_at__gte = CreationFilter(field_name="created_at", lookup_expr="gte")
    created_at__lt = CreationFilter(field_name="created_at", lookup_expr="lt")

    class Meta:
        model = StockMovement
        fields: list[str] = []


class StockDocumentFilters(ApiFilterSet):
    reference = TextFilter(max_length=64)
    location = TextFilter(field_name="location__code", max_length=32)
    product_id = UUIDFilter(field_name="items__product")
    created_at__gte = CreationFilter(field_name="created_at", lookup_expr="gte")
    created_at__lt = CreationFilter(field_name="created_at", lookup_expr="lt")

    class Meta:
        model = StockDocument
        fields: list[str] = []
