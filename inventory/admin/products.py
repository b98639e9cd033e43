"""Products, added and changed by operations, and the correction of their stock."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.db.models import F, OuterRef, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import BooleanRadioFilter, DropdownFilter
from unfold.decorators import display
from unfold.enums import ActionVariant
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
)

from inventory.admin.adjustments import AdjustmentForm, adjust
from inventory.admin.ledger import KIND_COLOURS
from inventory.models import MAX_PIECES, Product, StockLevel, StockMovement
from inventory.operations.products import change_product, create_product
from oms.backoffice.actions import Step
from oms.backoffice.admins import OperationAdmin, OperationForm
from oms.backoffice.display import badge, moment, money, number, signed
from oms.backoffice.order_links import order_link_of, order_numbers
from oms.core.actor import Actor
from oms.core.money import CURRENCIES, MAX_PRICE, ZERO

_MOVEMENTS_SHOWN = 10


class StockFilter(DropdownFilter):
    title = _("stock")
    parameter_name = "stock"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("low", _("low or out")), ("out", _("out of stock")), ("in", _("in stock"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        match self.value():
            case "low":
                return queryset.filter(available__lte=F("low_stock_threshold"))
            case "out":
                return queryset.filter(available__lte=0)
            case "in":
                return queryset.filter(available__gt=0)
        return queryset


class CategoryFilter(DropdownFilter):
    title = _("category")
    parameter_name = "category"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        named = Product.objects.exclude(category="").order_by("category")
        return [(name, name) for name in named.values_list("category", flat=True).distinct()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        known = self.value() in dict(self.lookup_choices)
        return queryset.filter(category=self.value()) if known else queryset


class ProductForm(OperationForm):
    price = forms.DecimalField(
        label=_("price"),
        min_value=ZERO,
        max_value=MAX_PRICE,
        decimal_places=2,
        widget=UnfoldAdminDecimalFieldWidget,
    )
    low_stock_threshold = forms.IntegerField(
        label=_("low stock threshold"),
        min_value=0,
        max_value=MAX_PIECES,
        initial=5,
        widget=UnfoldAdminIntegerFieldWidget,
    )
    currency = forms.ChoiceField(
        label=_("currency"),
        choices=[(code, code) for code in sorted(CURRENCIES)],
        initial=settings.SHOP_CURRENCY,
        widget=UnfoldAdminSelectWidget,
    )
    initial_stock = forms.IntegerField(
        label=_("initial stock"),
        min_value=0,
        max_value=MAX_PIECES,
        initial=0,
        help_text=_("Pieces received at the default location."),
        widget=UnfoldAdminIntegerFieldWidget,
    )
    # The version that the form was made of, so that nobody's change is overwritten unseen.
    expected_version = forms.IntegerField(widget=forms.HiddenInput)

    class Meta:
        model = Product
        fields = (
            "sku",
            "name",
            "description",
            "category",
            "price",
            "currency",
            "is_active",
            "low_stock_threshold",
            "backorderable",
        )
        widgets = {"description": UnfoldAdminTextareaWidget(attrs={"rows": 4})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # A new instance has its id already, so that is no sign of being saved.
        if self.instance._state.adding:
            del self.fields["expected_version"]
        else:
            del self.fields["initial_stock"]
            product: Any = self.instance
            self.initial["expected_version"] = product.version


@admin.register(Product)
class ProductAdmin(OperationAdmin):
    form = ProductForm
    list_display = (
        "name",
        "sku",
        "category",
        "price_shown",
        "available",
        "reserved",
        "stock",
        "is_active",
    )
    list_filter = (
        StockFilter,
        CategoryFilter,
        ("is_active", BooleanRadioFilter),
        ("backorderable", BooleanRadioFilter),
    )
    search_fields = ("name", "sku")
    search_help_text = _("Name or SKU")
    ordering = ("name", "pk")
    refused_fields = {"sku_taken": "sku", "stock_conflict": "backorderable"}
    change_form_template = "admin/inventory/product/change_form.html"
    add_fieldsets = (
        (None, {"fields": (("name", "sku"), "description", "category", ("price", "currency"))}),
        (
            _("Stock"),
            {"fields": (("initial_stock", "low_stock_threshold"), "backorderable", "is_active")},
        ),
    )
    fieldsets = (
        (None, {"fields": (("name", "sku"), "description", "category", ("price", "currency"))}),
        (_("Selling"), {"fields": ("low_stock_threshold", "backorderable", "is_active")}),
        (None, {"fields": ("expected_version",), "classes": ("hidden",)}),
    )
    steps = (
        Step(
            name="adjust",
            label=_("Adjust stock"),
            icon="inventory",
            run=adjust,
            form=AdjustmentForm,
            variant=ActionVariant.PRIMARY,
            explanation=_(
                "Receive, count, write off or take back pieces. The ledger keeps what was "
                "there before, who changed it, and why."
            ),
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Product]:
        rows: QuerySet[Product] = super().get_queryset(request)
        levels = StockLevel.objects.filter(product=OuterRef("pk")).order_by().values("product")
        return rows.annotate(
            available=_summed(levels, F("on_hand") - F("reserved")),
            reserved=_summed(levels, F("reserved")),
        )

    @display(description=_("price"), ordering="price")
    def price_shown(self, product: Product) -> str:
        return money(product.price, product.currency)

    @display(description=_("available"), ordering="available")
    def available(self, product: Any) -> str:
        return number(product.available)

    @display(description=_("reserved"), ordering="reserved")
    def reserved(self, product: Any) -> str:
        return number(product.reserved)

    @display(description=_("stock"))
    def stock(self, product: Any) -> SafeString:
        return stock_badge(product.available, product)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The form with the stock at each location and the latest movements below it."""
        context = dict(extra_context or {})
        product = self.get_object(request, object_id)
        if product is not None:
            context |= _stock_of(product)
        response: HttpResponse = super().change_view(request, object_id, form_url, context)
        return response

    def create(self, actor: Actor, values: Mapping[str, Any]) -> Product:
        return create_product(actor=actor, **values)

    def change(self, actor: Actor, obj: Any, values: Mapping[str, Any], form: Any) -> None:
        change_product(
            actor=actor,
            product_id=obj.pk,
            values={k: v for k, v in values.items() if k != "expected_version"},
            expected_version=form.cleaned_data["expected_version"],
        )


def stock_badge(available: int, product: Product) -> SafeString:
    """Whether that many available pieces of `product` are none, few or enough."""
    if available <= 0:
        return badge(_("backorder") if product.backorderable else _("out of stock"), "danger")
    if available <= product.low_stock_threshold:
        return badge(_("low"), "warning")
    return badge(_("in stock"), "success")


def _summed(levels: QuerySet[Any], expression: Any) -> Coalesce:
    return Coalesce(Subquery(levels.annotate(pieces=Sum(expression)).values("pieces")), 0)


def _stock_of(product: Any) -> dict[str, Any]:
    levels = StockLevel.objects.filter(product=product).select_related("location")
    ledger = StockMovement.objects.filter(product=product).select_related("location")
    movements = list(ledger.order_by("-id")[:_MOVEMENTS_SHOWN])
    numbers = order_numbers(row.order_id for row in movements)
    return {
        "levels": list(levels.order_by("location__priority", "location__code")),
        "movements": [
            {
                "row": row,
                "at": moment(row.created_at),
                "kind": badge(row.get_kind_display(), KIND_COLOURS[row.kind]),
                "on_hand": signed(row.on_hand_delta) if row.on_hand_delta else "",
                "reserved": signed(row.reserved_delta) if row.reserved_delta else "",
                "order": order_link_of(row.order_id, numbers) if row.order_id else "",
            }
            for row in movements
        ],
        "stock_badge": stock_badge(product.available, product),
        "product": product,
    }
