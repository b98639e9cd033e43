"""Products, added and changed through operations, with their stock."""

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
from inventory.admin.availability import availability_context
from inventory.admin.documents import ReceiveForm, TransferForm, receive, transfer
from inventory.admin.movements import KIND_COLOURS
from inventory.models import MAX_QUANTITY, Product, StockLevel, StockMovement
from inventory.operations.products import change_product, create_product
from oms.backoffice.actions import AdminAction
from oms.backoffice.actors import may, staff_actor
from oms.backoffice.admins import OperationAdmin, OperationForm
from oms.backoffice.display import badge, money_column, number
from oms.backoffice.object_links import set_order_links
from oms.core.actor import Actor
from oms.core.currencies import CURRENCIES, MOST_DECIMALS
from oms.core.money import MAX_PRICE, ZERO
from oms.core.permissions import Permission

_MOVEMENTS_SHOWN = 10


class StockFilter(DropdownFilter):
    title = _("stock")
    parameter_name = "stock"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            ("low", _("low or out of stock")),
            ("out", _("out of stock")),
            ("in", _("in stock")),
        ]

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
        label=_("Price"),
        min_value=ZERO,
        max_value=MAX_PRICE,
        # The operation refuses more decimals than the chosen currency has.
        decimal_places=MOST_DECIMALS,
        widget=UnfoldAdminDecimalFieldWidget(attrs={"step": "any"}),
    )
    low_stock_threshold = forms.IntegerField(
        label=_("Low stock threshold"),
        min_value=0,
        max_value=MAX_QUANTITY,
        initial=5,
        widget=UnfoldAdminIntegerFieldWidget,
    )
    currency = forms.ChoiceField(
        label=_("Currency"),
        choices=[(code, code) for code in sorted(CURRENCIES)],
        initial=settings.SHOP_CURRENCY,
        widget=UnfoldAdminSelectWidget,
    )
    initial_stock = forms.IntegerField(
        label=_("Initial stock"),
        min_value=0,
        max_value=MAX_QUANTITY,
        initial=0,
        help_text=_("Quantity received at the default location."),
        widget=UnfoldAdminIntegerFieldWidget,
    )
    # The version shown in the form, so that nobody else's change is overwritten.
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
        # A new instance already has its id, so the id does not say whether it is saved.
        if self.instance._state.adding:
            del self.fields["expected_version"]
        else:
            del self.fields["initial_stock"]
            product: Any = self.instance
            self.initial["expected_version"] = product.version


@admin.register(Product)
class ProductAdmin(OperationAdmin):
    object_type = "product"
    view_permissions = (Permission.STOCK_VIEW,)
    add_permissions = (Permission.PRODUCTS_EDIT, Permission.PRODUCTS_PRICE)
    change_permissions = (Permission.PRODUCTS_EDIT,)
    form = ProductForm
    list_display = (
        "name",
        "sku",
        "category",
        money_column("price", _("price")),
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
    error_fields = {"sku_taken": "sku"}
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
    object_actions = (
        AdminAction(
            name="adjust",
            label=_("Adjust stock"),
            icon="inventory",
            run=adjust,
            permissions=(Permission.STOCK_ADJUST,),
            form=AdjustmentForm,
            variant=ActionVariant.PRIMARY,
            explanation=_("Recorded in the stock ledger with your name, the reason and the note."),
        ),
        AdminAction(
            name="receive",
            label=_("Receive stock"),
            icon="move_to_inbox",
            run=receive,
            permissions=(Permission.STOCK_RECEIVE,),
            form=ReceiveForm,
            explanation=_("Orders that wait for this product are served first."),
        ),
        AdminAction(
            name="transfer",
            label=_("Transfer stock"),
            icon="swap_horiz",
            run=transfer,
            permissions=(Permission.STOCK_TRANSFER,),
            form=TransferForm,
            explanation=_("Reserved items can be transferred; their orders ship from there."),
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Product]:
        rows: QuerySet[Product] = super().get_queryset(request)
        levels = StockLevel.objects.filter(product=OuterRef("pk")).order_by().values("product")
        return rows.annotate(
            available=_summed(levels, F("on_hand") - F("reserved")),
            reserved=_summed(levels, F("reserved")),
        )

    @display(description=_("available"), ordering="available")
    def available(self, product: Any) -> str:
        return number(product.available)

    @display(description=_("reserved"), ordering="reserved")
    def reserved(self, product: Any) -> str:
        return number(product.reserved)

    @display(description=_("stock"))
    def stock(self, product: Any) -> SafeString:
        return stock_badge(product.available, product)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        if context["original"] is not None:
            product = context["original"]
            context |= _stock_context(product)
            context |= availability_context(product, actor=staff_actor(request))
        response: HttpResponse = super().render_change_form(request, context, *args, **kwargs)
        return response

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        sets_prices = obj is None or may(request, Permission.PRODUCTS_PRICE)
        return () if sets_prices else ("price", "currency")

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
    """A badge for the quantity available of the product."""
    if available <= 0:
        return badge(_("backorder") if product.backorderable else _("out of stock"), "danger")
    if available <= product.low_stock_threshold:
        return badge(_("low"), "warning")
    return badge(_("in stock"), "success")


def _summed(levels: QuerySet[Any], expression: Any) -> Coalesce:
    return Coalesce(Subquery(levels.annotate(quantity=Sum(expression)).values("quantity")), 0)


def _stock_context(product: Any) -> dict[str, Any]:
    levels = StockLevel.objects.filter(product=product).select_related("location")
    ledger = StockMovement.objects.filter(product=product).select_related("location")
    movements = list(ledger.order_by("-id")[:_MOVEMENTS_SHOWN])
    set_order_links(movements)
    return {
        "levels": list(levels.order_by("location__priority", "location__code")),
        "movements": movements,
        "kind_colours": KIND_COLOURS,
        "stock_badge": stock_badge(product.available, product),
        "product": product,
    }
