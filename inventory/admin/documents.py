"""Receipts, transfers and counts, read-only; the actions that receive and transfer a product."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.decorators import display
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from inventory.models import (
    MAX_QUANTITY,
    DocumentKind,
    Location,
    StockDocument,
    StockDocumentItem,
    StockLevel,
)
from inventory.operations.documents import StockLine
from inventory.operations.receiving import receive_stock
from inventory.operations.transferring import transfer_stock
from oms.backoffice.actions import ActionForm
from oms.backoffice.admins import LargeTableAdmin
from oms.backoffice.display import EMPTY, badge_column, link, number, signed
from oms.backoffice.filters import CreationDateFilter
from oms.core.actor import Actor
from oms.core.permissions import Permission

_KIND = badge_column(
    "kind",
    {DocumentKind.RECEIPT: "success", DocumentKind.TRANSFER: "info", DocumentKind.COUNT: "warning"},
    _("type"),
)


class ReceiveForm(ActionForm):
    """One product of a receipt."""

    quantity = forms.IntegerField(
        label=_("Quantity"),
        min_value=1,
        max_value=MAX_QUANTITY,
        widget=UnfoldAdminIntegerFieldWidget,
    )
    location = forms.ChoiceField(label=_("Location"), widget=UnfoldAdminSelectWidget)
    reference = forms.CharField(
        label=_("Reference"),
        max_length=64,
        help_text=_("Such as the number of the delivery note. Each reference can be used once."),
        widget=UnfoldAdminTextInputWidget,
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # The form that is sent twice has the same one, and is booked once.
        self.initial["reference"] = f"BO-{secrets.token_hex(6)}"
        on_hand = dict(
            StockLevel.objects.filter(product=self.subject).values_list("location", "on_hand")
        )
        choices = [
            (
                location.code,
                _("%(name)s: %(on_hand)d on hand")
                % {"name": location.name, "on_hand": on_hand.get(location.id, 0)},
            )
            for location in Location.objects.order_by("-is_default", "priority", "code")
        ]
        for name in ("location", "to"):
            if name in self.fields:
                field: Any = self.fields[name]
                field.choices = choices


class TransferForm(ReceiveForm):
    """One product of a transfer."""

    location = forms.ChoiceField(label=_("From"), widget=UnfoldAdminSelectWidget)
    to = forms.ChoiceField(label=_("To"), widget=UnfoldAdminSelectWidget)
    field_order = ("quantity", "location", "to", "reference")


def receive(actor: Actor, product: Any, values: Mapping[str, Any]) -> str:
    receive_stock(
        actor=actor,
        reference=values["reference"],
        lines=[StockLine(product_id=product.pk, quantity=values["quantity"])],
        location=values["location"],
    )
    return gettext("%(quantity)d of %(product)s received.") % {
        "quantity": values["quantity"],
        "product": product.name,
    }


def transfer(actor: Actor, product: Any, values: Mapping[str, Any]) -> str:
    transfer_stock(
        actor=actor,
        reference=values["reference"],
        lines=[StockLine(product_id=product.pk, quantity=values["quantity"])],
        from_location=values["location"],
        to=values["to"],
    )
    return gettext("%(quantity)d of %(product)s transferred.") % {
        "quantity": values["quantity"],
        "product": product.name,
    }


class StockDocumentItemInline(TabularInline):
    model = StockDocumentItem
    extra = max_num = 0
    can_delete = False
    hide_title = True
    fields = readonly_fields = ("product_link", "sku", "quantity", "expected", "change")

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("product")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Users who may view the document may view its items."""
        return True

    @display(description=_("product"))
    def product_link(self, item: StockDocumentItem) -> SafeString | str:
        return link(item.product.name, "inventory_product", item.product_id)

    @display(description=_("SKU"))
    def sku(self, item: StockDocumentItem) -> str:
        return item.product.sku

    @display(description=_("expected on hand"))
    def expected(self, item: StockDocumentItem) -> str:
        return EMPTY if item.expected_on_hand is None else number(item.expected_on_hand)

    @display(description=_("on hand change"))
    def change(self, item: StockDocumentItem) -> str:
        return (
            gettext("not booked yet") if item.on_hand_delta is None else signed(item.on_hand_delta)
        )


@admin.register(StockDocument)
class StockDocumentAdmin(LargeTableAdmin):
    object_type = "stock_document"
    view_permissions = (Permission.STOCK_VIEW,)
    list_display = (
        "created_at",
        "reference",
        _KIND,
        "from_location",
        "location",
        "booked",
        "actor_label",
    )
    list_display_links = ("reference",)
    list_select_related = ("location", "from_location")
    list_filter = (
        ("kind", ChoicesDropdownFilter),
        ("location", RelatedDropdownFilter),
        ("created_at", CreationDateFilter),
    )
    search_fields = ("reference",)
    search_help_text = _("Reference")
    fields = (
        (_KIND, "reference"),
        ("from_location", "location"),
        ("created_at", "actor_label"),
        ("booked", "completed_at"),
    )
    inlines = (StockDocumentItemInline,)

    def search_query(self, term: str) -> Q:
        # The index begins with the kind.
        return Q(kind__in=DocumentKind.values, reference=term)

    @display(description=_("items booked"))
    def booked(self, document: StockDocument) -> str:
        return f"{document.items_booked:,} / {document.items_total:,}"
