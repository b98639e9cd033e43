"""The back office of reports: the closed days, to be read."""

from __future__ import annotations

import msgspec
from django.contrib import admin
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import RangeDateFilter
from unfold.decorators import display

from oms.backoffice.admins import ReadOnlyAdmin
from oms.backoffice.display import day, link, moment, money, number
from reports.figures import DayFigures
from reports.models import DailyReport


@admin.register(DailyReport)
class DailyReportAdmin(ReadOnlyAdmin):
    list_display = ("day", "placed", "confirmed", "cancelled", "units", "gross", "back", "net")
    list_filter = (("date", RangeDateFilter),)
    date_hierarchy = "date"
    ordering = ("-date", "currency")
    fieldsets = (
        (None, {"fields": (("day", "timezone"), "generated")}),
        (_("Orders"), {"fields": (("placed", "confirmed"), ("cancelled", "units"))}),
        (_("Sales"), {"fields": (("gross", "back"), ("net", "average"))}),
        (_("Best sellers"), {"fields": ("best_sellers",)}),
    )
    readonly_fields = (
        "day",
        "generated",
        "placed",
        "confirmed",
        "cancelled",
        "units",
        "gross",
        "back",
        "net",
        "average",
        "best_sellers",
    )

    @display(description=_("day"), ordering="date")
    def day(self, report: DailyReport) -> str:
        return day(report.date)

    @display(description=_("generated"))
    def generated(self, report: DailyReport) -> str:
        return moment(report.generated_at)

    @display(description=_("placed"))
    def placed(self, report: DailyReport) -> str:
        return number(_figures(report).totals.orders_placed)

    @display(description=_("confirmed"))
    def confirmed(self, report: DailyReport) -> str:
        return number(_figures(report).totals.orders_confirmed)

    @display(description=_("cancelled"))
    def cancelled(self, report: DailyReport) -> str:
        return number(_figures(report).totals.orders_cancelled)

    @display(description=_("units sold"))
    def units(self, report: DailyReport) -> str:
        return number(_figures(report).totals.units_sold)

    @display(description=_("gross sales"))
    def gross(self, report: DailyReport) -> str:
        return money(_figures(report).totals.gross_sales, report.currency)

    @display(description=_("refunds"))
    def back(self, report: DailyReport) -> str:
        return money(_figures(report).totals.refunds, report.currency)

    @display(description=_("net sales"))
    def net(self, report: DailyReport) -> str:
        return money(_figures(report).totals.net_sales, report.currency)

    @display(description=_("average order"))
    def average(self, report: DailyReport) -> str:
        return money(_figures(report).totals.average_order_value, report.currency)

    @display(description=_("best sellers"))
    def best_sellers(self, report: DailyReport) -> SafeString | str:
        lines = [
            (
                link(sold.name, "inventory_product", sold.product_id),
                sold.sku,
                number(sold.units),
                money(sold.revenue, report.currency),
            )
            for sold in _figures(report).top_products
        ]
        if not lines:
            return str(_("Nothing was sold."))
        row = (
            '<tr><td>{} <span class="bo-faint">{}</span></td>'
            '<td class="bo-number">{} ×</td><td class="bo-number">{}</td></tr>'
        )
        return format_html('<table class="bo-table">{}</table>', format_html_join("", row, lines))


def _figures(report: DailyReport) -> DayFigures:
    return msgspec.convert(report.data, type=DayFigures)
