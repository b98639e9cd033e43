"""The back office of reports: the daily reports, read-only."""

from __future__ import annotations

from typing import Any

import msgspec
from django.contrib import admin
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import RangeDateFilter
from unfold.decorators import display

from oms.backoffice.admins import ReadOnlyAdmin
from oms.backoffice.display import link, money, number
from oms.core.permissions import Permission
from reports.figures import DayFigures
from reports.models import DailyReport


def _figures(report: DailyReport) -> DayFigures:
    return msgspec.convert(report.data, type=DayFigures)


def _total(field: str, description: Any) -> Any:
    """A column of a figure of the day: a count, or an amount in the currency of the report."""

    @display(description=description)
    def column(report: DailyReport) -> str:
        value = getattr(_figures(report).totals, field)
        if callable(value):
            value = value(report.currency)
        return number(value) if isinstance(value, int) else money(value, report.currency)

    column.__name__ = field
    return column


_ORDERS = (
    _total("orders_placed", _("placed")),
    _total("orders_confirmed", _("confirmed")),
    _total("orders_cancelled", _("cancelled")),
    _total("units_sold", _("units sold")),
)
_SALES = (
    _total("gross_sales", _("gross sales")),
    _total("refunds", _("refunds")),
    _total("net_sales", _("net sales")),
)
_APART = (
    _total("cancelled_sales", _("cancelled sales")),
    _total("refunds_of_no_sale", _("refunds of no sale")),
)


@admin.register(DailyReport)
class DailyReportAdmin(ReadOnlyAdmin):
    view_permissions = (Permission.REPORTS_VIEW,)
    list_display = ("date", *_ORDERS, *_SALES)
    list_filter = (("date", RangeDateFilter),)
    date_hierarchy = "date"
    ordering = ("-date", "currency")
    fieldsets = (
        (None, {"fields": (("date", "timezone"), "generated_at")}),
        (_("Orders"), {"fields": (_ORDERS[:2], _ORDERS[2:])}),
        (
            _("Sales"),
            {
                "fields": (
                    _SALES[:2],
                    (_SALES[2], _total("average_order_value", _("average order value"))),
                    _APART,
                )
            },
        ),
        (_("Best sellers"), {"fields": ("best_sellers",)}),
    )

    @display(description=_("best sellers"))
    def best_sellers(self, report: DailyReport) -> SafeString | str:
        rows = [
            (
                link(product.name, "inventory_product", product.product_id),
                product.sku,
                number(product.units),
                money(product.revenue, report.currency),
            )
            for product in _figures(report).top_products
        ]
        if not rows:
            return str(_("No sales on this day."))
        row = (
            '<tr><td>{} <span class="bo-faint">{}</span></td>'
            '<td class="bo-number">{} ×</td><td class="bo-number">{}</td></tr>'
        )
        return format_html('<table class="bo-table">{}</table>', format_html_join("", row, rows))
