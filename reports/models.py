"""Stored reports of closed days."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from oms.core.ids import new_id
from oms.core.money import CurrencyField


class DailyReport(models.Model):
    """The final sales of one closed business day in one currency.

    `data` are the figures of `reports.figures.DayFigures` as JSON.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    date = models.DateField(_("day"))
    timezone = models.CharField(_("time zone"), max_length=64)
    currency = CurrencyField(_("currency"))
    data = models.JSONField(_("figures"))
    generated_at = models.DateTimeField(_("generated"))

    class Meta:
        ordering = ["-date", "currency"]
        verbose_name = _("daily report")
        verbose_name_plural = _("daily reports")
        constraints = [
            models.UniqueConstraint(
                fields=["date", "timezone", "currency"], name="daily_report_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.date} {self.currency}"


class DailySales(models.Model):
    """The sales of one product on the day of a report.

    Reports list only their top ten products; the top products of a range are summed from these.
    """

    id = models.BigAutoField(primary_key=True)
    # The constraint below is its index.
    report = models.ForeignKey(
        DailyReport, on_delete=models.CASCADE, related_name="sales", db_index=False
    )
    product_id = models.UUIDField()
    units = models.BigIntegerField()
    revenue = models.DecimalField(max_digits=20, decimal_places=2)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["report", "product_id"], name="daily_sales_once")
        ]

    def __str__(self) -> str:
        return f"{self.units} × {self.product_id}"
