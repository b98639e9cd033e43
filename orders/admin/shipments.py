"""Parcels, to be read; the steps of their orders send them."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from oms.backoffice.admins import GrowingAdmin
from oms.backoffice.display import badge, link, moment
from oms.backoffice.filters import CreationDaysFilter
from orders.admin.badges import SHIPMENT_COLOURS
from orders.models import Order, Shipment, ShipmentItem


class ShipmentItemInline(TabularInline):
    model = ShipmentItem
    extra = 0
    hide_title = True
    fields = readonly_fields = ("product_name", "sku", "quantity")

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("order_item")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return True

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @display(description=_("product"))
    def product_name(self, item: ShipmentItem) -> SafeString | str:
        return link(item.order_item.name, "inventory_product", item.order_item.product_id)

    @display(description=_("SKU"))
    def sku(self, item: ShipmentItem) -> str:
        return item.order_item.sku


@admin.register(Shipment)
class ShipmentAdmin(GrowingAdmin):
    list_display = (
        "shipped",
        "order_link",
        "status_badge",
        "carrier",
        "tracking_number",
        "delivered",
    )
    list_select_related = ("order",)
    list_filter = (("status", ChoicesDropdownFilter), ("shipped_at", CreationDaysFilter))
    search_fields = ("tracking_number",)
    search_help_text = _("Tracking number, or number of the order")
    fields = (
        ("order_link", "status_badge"),
        ("carrier", "tracking_number"),
        ("shipped", "delivered"),
    )
    readonly_fields = ("shipped", "delivered", "order_link", "status_badge")
    inlines = (ShipmentItemInline,)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Shipment], search_term: str
    ) -> tuple[QuerySet[Shipment], bool]:
        """By what indexes can find: a whole tracking number, or the number of the order."""
        term = search_term.strip()
        if not term:
            return queryset, False
        found = Q(tracking_number=term)
        order = Order.objects.filter(number=term.upper()).first()
        if order is not None:
            found |= Q(order=order)
        return queryset.filter(found), False

    @display(description=_("shipped"))
    def shipped(self, shipment: Shipment) -> str:
        return moment(shipment.shipped_at)

    @display(description=_("delivered"))
    def delivered(self, shipment: Shipment) -> str:
        return moment(shipment.delivered_at)

    @display(description=_("order"))
    def order_link(self, shipment: Shipment) -> SafeString | str:
        return link(shipment.order.number, "orders_order", shipment.order_id)

    @display(description=_("status"))
    def status_badge(self, shipment: Shipment) -> SafeString:
        return badge(shipment.get_status_display(), SHIPMENT_COLOURS[shipment.status])
