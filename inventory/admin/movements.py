"""The stock ledger, read-only."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Q
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.decorators import display

from inventory.models import MovementKind, Product, StockMovement
from oms.backoffice.display import badge_column, link, signed
from oms.backoffice.filters import CreationDateFilter
from oms.backoffice.object_links import OrderRowsAdmin, order_query
from oms.core.ids import as_uuid
from oms.core.permissions import Permission

KIND_COLOURS: dict[str, str] = {
    MovementKind.RECEIVE: "success",
    MovementKind.ADJUST: "warning",
    MovementKind.TRANSFER: "info",
    MovementKind.RESERVE: "info",
    MovementKind.RELEASE: "",
    MovementKind.SHIP: "primary",
    MovementKind.RETURN: "success",
}
_KIND = badge_column("kind", KIND_COLOURS, _("type"))


@admin.register(StockMovement)
class StockMovementAdmin(OrderRowsAdmin):
    view_permissions = (Permission.STOCK_VIEW,)
    list_display = (
        "created_at",
        "product_link",
        _KIND,
        "on_hand_change",
        "reserved_change",
        "balance",
        "location",
        "order",
        "actor_label",
    )
    list_select_related = ("product", "location")
    list_filter = (
        ("kind", ChoicesDropdownFilter),
        ("location", RelatedDropdownFilter),
        ("created_at", CreationDateFilter),
    )
    search_fields = ("reference",)
    search_help_text = _("SKU, order number or reference")
    fields = (
        ("created_at", "actor_label"),
        ("product", "location"),
        (_KIND, "reason"),
        ("on_hand_change", "reserved_change"),
        ("on_hand_after", "reserved_after"),
        ("order", "reference"),
        "note",
    )

    def search_query(self, term: str) -> Q:
        id = as_uuid(term)
        product = Product.objects.filter(Q(sku__iexact=term) if id is None else Q(pk=id)).first()
        if product is not None:
            return Q(product=product)
        return order_query(term) or Q(reference=term)

    @display(description=_("product"))
    def product_link(self, movement: StockMovement) -> SafeString | str:
        return link(movement.product.sku, "inventory_product", movement.product_id)

    @display(description=_("on hand change"))
    def on_hand_change(self, movement: StockMovement) -> str:
        return signed(movement.on_hand_delta)

    @display(description=_("reserved change"))
    def reserved_change(self, movement: StockMovement) -> str:
        return signed(movement.reserved_delta)

    @display(description=_("on hand / reserved"))
    def balance(self, movement: StockMovement) -> str:
        return f"{movement.on_hand_after:,} / {movement.reserved_after:,}"
