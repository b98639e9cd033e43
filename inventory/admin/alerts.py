"""Customers who want a message when a product is back in stock, read-only."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Q
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from inventory.models import Product, StockAlert
from oms.backoffice.admins import LargeTableAdmin
from oms.backoffice.display import link
from oms.backoffice.filters import CreationDateFilter
from oms.core.permissions import Permission


@admin.register(StockAlert)
class StockAlertAdmin(LargeTableAdmin):
    view_permissions = (Permission.STOCK_VIEW, Permission.CUSTOMERS_VIEW)
    list_display = ("created_at", "product_link", "customer_link")
    list_select_related = ("product", "customer")
    list_filter = (("created_at", CreationDateFilter),)
    search_fields = ("product__sku",)
    search_help_text = _("SKU or customer e-mail")
    fields = ("created_at", "product_link", "customer_link")

    def search_query(self, term: str) -> Q:
        product = Product.objects.filter(sku__iexact=term).first()
        return Q(customer__email=term.lower()) if product is None else Q(product=product)

    @display(description=_("product"))
    def product_link(self, alert: StockAlert) -> SafeString | str:
        return link(alert.product, "inventory_product", alert.product_id)

    @display(description=_("customer"))
    def customer_link(self, alert: StockAlert) -> SafeString | str:
        return link(alert.customer, "users_user", alert.customer_id)
