"""Shipments, read-only: the actions of their orders create them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from oms.backoffice.actions import AdminAction
from oms.backoffice.admins import LargeTableAdmin
from oms.backoffice.display import badge_column, link
from oms.backoffice.filters import CreationDateFilter
from oms.core.actor import Actor
from oms.core.permissions import Permission
from orders.admin.forms import CorrectionForm
from orders.admin.statuses import SHIPMENT_COLOURS
from orders.models import Order, Shipment, ShipmentItem
from orders.operations.shipments import correct_shipment, deliver_shipment
from orders.states import ShipmentStatus

_STATUS = badge_column("status", SHIPMENT_COLOURS)


def _correct(actor: Actor, shipment: Shipment, values: Mapping[str, Any]) -> str:
    correct_shipment(
        actor=actor,
        shipment_id=shipment.pk,
        carrier=values["carrier"],
        tracking_number=values["tracking_number"],
        expected_version=values["expected_version"],
    )
    return gettext("Shipment corrected.")


def _deliver(actor: Actor, shipment: Shipment, values: Mapping[str, Any]) -> str:
    deliver_shipment(
        actor=actor, shipment_id=shipment.pk, expected_version=values["expected_version"]
    )
    return gettext("Shipment delivered.")


class ShipmentItemInline(TabularInline):
    model = ShipmentItem
    extra = max_num = 0
    can_delete = False
    hide_title = True
    fields = readonly_fields = ("product", "sku", "quantity")

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("order_item")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Users who may view the shipment may view its items."""
        return True

    @display(description=_("product"))
    def product(self, item: ShipmentItem) -> SafeString | str:
        return link(item.order_item.name, "inventory_product", item.order_item.product_id)

    @display(description=_("SKU"))
    def sku(self, item: ShipmentItem) -> str:
        return item.order_item.sku


@admin.register(Shipment)
class ShipmentAdmin(LargeTableAdmin):
    view_permissions = (Permission.ORDERS_VIEW,)
    list_display = (
        "shipped_at",
        "order_link",
        _STATUS,
        "carrier",
        "tracking_number",
        "delivered_at",
    )
    list_select_related = ("order",)
    list_filter = (("status", ChoicesDropdownFilter), ("shipped_at", CreationDateFilter))
    search_fields = ("tracking_number",)
    search_help_text = _("Tracking number or order number")
    fields = (
        ("order_link", _STATUS),
        ("carrier", "tracking_number"),
        ("shipped_at", "delivered_at"),
    )
    inlines = (ShipmentItemInline,)
    object_actions = (
        AdminAction(
            name="correct",
            permissions=(Permission.ORDERS_SHIP,),
            label=_("Correct tracking"),
            icon="edit",
            run=_correct,
            form=CorrectionForm,
            explanation=_("The customer is notified of the new carrier or tracking number."),
        ),
        AdminAction(
            name="deliver_shipment",
            permissions=(Permission.ORDERS_SHIP,),
            label=_("Mark as delivered"),
            icon="task_alt",
            run=_deliver,
            is_available=lambda shipment: shipment.status == ShipmentStatus.SHIPPED,
            explanation=_("The order is delivered once all its shipments are."),
        ),
    )

    def version_of(self, obj: Shipment) -> int:
        return obj.order.version

    def search_query(self, term: str) -> Q:
        order = Order.objects.filter(number=term.upper()).first()
        query = Q(tracking_number=term)
        return query | Q(order=order) if order is not None else query

    @display(description=_("order"))
    def order_link(self, shipment: Shipment) -> SafeString | str:
        return link(shipment.order.number, "orders_order", shipment.order_id)
