"""The stock ledger, to be read."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.decorators import display

from inventory.models import MovementKind, Product, StockMovement
from oms.backoffice.display import badge, link, moment, signed
from oms.backoffice.filters import CreationDaysFilter
from oms.backoffice.order_links import OrdersNamedAdmin, as_uuid, found_by_order

KIND_COLOURS = {
    MovementKind.RECEIVE.value: "success",
    MovementKind.ADJUST.value: "warning",
    MovementKind.RESERVE.value: "info",
    MovementKind.RELEASE.value: "",
    MovementKind.SHIP.value: "primary",
    MovementKind.RETURN.value: "success",
}


@admin.register(StockMovement)
class StockMovementAdmin(OrdersNamedAdmin):
    list_display = (
        "at",
        "product_link",
        "kind_badge",
        "on_hand_change",
        "reserved_change",
        "balance",
        "location",
        "order_link",
        "actor_label",
    )
    list_select_related = ("product", "location")
    list_filter = (
        ("kind", ChoicesDropdownFilter),
        ("location", RelatedDropdownFilter),
        ("created_at", CreationDaysFilter),
    )
    search_fields = ("reference",)
    search_help_text = _("SKU, number of the order, or reference")
    ordering = ("-id",)
    fields = (
        ("at", "actor_label"),
        ("product_link", "location"),
        ("kind_badge", "reason"),
        ("on_hand_change", "reserved_change"),
        ("on_hand_after", "reserved_after"),
        ("order_link", "reference"),
        "note",
    )
    readonly_fields = (
        "at",
        "product_link",
        "kind_badge",
        "on_hand_change",
        "reserved_change",
        "order_link",
    )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[StockMovement], search_term: str
    ) -> tuple[QuerySet[StockMovement], bool]:
        """By what indexes can find; the ledger is too long to look through."""
        term = search_term.strip()
        if not term:
            return queryset, False
        id = as_uuid(term)
        product = Product.objects.filter(Q(sku__iexact=term) if id is None else Q(pk=id)).first()
        if product is not None:
            return queryset.filter(product=product), False
        return queryset.filter(found_by_order(term) or Q(reference=term)), False

    @display(description=_("at"))
    def at(self, movement: StockMovement) -> str:
        return moment(movement.created_at)

    @display(description=_("product"))
    def product_link(self, movement: StockMovement) -> SafeString | str:
        return link(movement.product.sku, "inventory_product", movement.product_id)

    @display(description=_("kind"))
    def kind_badge(self, movement: StockMovement) -> SafeString:
        return badge(movement.get_kind_display(), KIND_COLOURS[movement.kind])

    @display(description=_("on hand"))
    def on_hand_change(self, movement: StockMovement) -> str:
        return signed(movement.on_hand_delta)

    @display(description=_("reserved"))
    def reserved_change(self, movement: StockMovement) -> str:
        return signed(movement.reserved_delta)

    @display(description=_("balance"))
    def balance(self, movement: StockMovement) -> str:
        return f"{movement.on_hand_after:,} / {movement.reserved_after:,}"
