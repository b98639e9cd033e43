"""Stored reports of closed days."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from oms.core.ids import new_id
from oms.core.money import ZERO, CurrencyField, MoneyField

# Of the figures as docs/reports.md defines them. A final report keeps those of its time.
DEFINITIONS = 2


class DailyReport(models.Model):
    """The final sales of one closed business day in one currency.

    `data` are the figures of `reports.figures.DayFigures` as JSON, by the `definitions` of the time
    of storing: by the first ones cancellations did not count, and all refunds did.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    date = models.DateField(_("day"))
    timezone = models.CharField(_("time zone"), max_length=64)
    currency = CurrencyField(_("currency"))
    data = models.JSONField(_("figures"))
    generated_at = models.DateTimeField(_("generated"))
    # The database's default is for code of the release before.
    definitions = models.PositiveSmallIntegerField(default=DEFINITIONS, db_default=1)

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


class OpenDay(models.Model):
    """The sales of a day that is not over, added up to `until`.

    So a report of today reads only the orders confirmed since. A day's final report is computed
    from its orders, not from these; then they are deleted.
    """

    id = models.BigAutoField(primary_key=True)
    date = models.DateField()
    timezone = models.CharField(max_length=64)
    currency = CurrencyField()
    until = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["date", "timezone", "currency"], name="open_day_once")
        ]

    def __str__(self) -> str:
        return f"{self.date} {self.currency} until {self.until}"


class OpenDayHour(models.Model):
    """The sales and cancellations of one hour of an open day; `hour` is its start."""

    id = models.BigAutoField(primary_key=True)
    # The constraint below is its index.
    day = models.ForeignKey(OpenDay, on_delete=models.CASCADE, related_name="+", db_index=False)
    hour = models.DateTimeField()
    orders = models.BigIntegerField()
    gross_sales = MoneyField(max_digits=20)
    cancelled_sales = MoneyField(max_digits=20, default=ZERO, db_default=ZERO)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["day", "hour"], name="open_day_hour_once")]

    def __str__(self) -> str:
        return f"{self.orders} at {self.hour}"


class OpenDaySales(models.Model):
    """What one product has sold on an open day."""

    id = models.BigAutoField(primary_key=True)
    # The constraint below is its index.
    day = models.ForeignKey(OpenDay, on_delete=models.CASCADE, related_name="+", db_index=False)
    product_id = models.UUIDField()
    units = models.BigIntegerField()
    revenue = MoneyField(max_digits=20)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["day", "product_id"], name="open_day_sales_once")
        ]

    def __str__(self) -> str:
        return f"{self.units} × {self.product_id}"


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
    revenue = MoneyField(max_digits=20)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["report", "product_id"], name="daily_sales_once")
        ]

    def __str__(self) -> str:
        return f"{self.units} × {self.product_id}"
