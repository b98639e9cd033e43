"""How reports look."""

from __future__ import annotations

from decimal import Decimal

from rest_framework import serializers

from oms.api.fields import CurrencyField, InstantField, IntegerField, MoneyField, UUIDField
from oms.api.serializers import OutputSerializer

_MOST = 2**53 - 1


def _count(help_text: str) -> IntegerField:
    return IntegerField(min_value=0, max_value=_MOST, help_text=help_text)


class _FiguresOutput(OutputSerializer):
    orders_placed = _count("Placed in the range, deleted ones too.")
    orders_confirmed = _count("Confirmed for the first time in the range.")
    orders_cancelled = _count("Cancelled in the range, whenever they were placed.")
    units_sold = _count("Pieces on the orders confirmed in the range.")
    gross_sales = MoneyField(help_text="The totals of the orders confirmed in the range.")
    refunds = MoneyField(help_text="Refunds that succeeded in the range.")
    net_sales = MoneyField(
        min_value=Decimal("-9999999.99"), help_text="Gross sales less refunds; may be negative."
    )
    average_order_value = MoneyField(help_text="Gross sales for each order; 0.00 without orders.")


class TopProductOutput(OutputSerializer):
    """One of the ten products with the highest revenue on confirmed orders."""

    product_id = UUIDField()
    sku = serializers.CharField()
    name = serializers.CharField()
    units = _count("Pieces.")
    revenue = MoneyField()


class HourOutput(OutputSerializer):
    """Orders confirmed in one hour."""

    hour = serializers.CharField(
        help_text="Of one day: the start of the hour in local time with its offset, such as "
        "2026-11-20T14:00:00+01:00. Of a range: the hour of the clock, 00 to 23."
    )
    orders = _count("Orders confirmed.")
    gross_sales = MoneyField()


class DayOutput(_FiguresOutput):
    """One day of a range."""

    date = serializers.DateField()
    is_final = serializers.BooleanField()


class DailyReportOutput(_FiguresOutput):
    """The sales of a business day, or of several."""

    date = serializers.DateField(required=False, help_text="Of a report of one day.")
    date_from = serializers.DateField(required=False, help_text="Of a report of a range.")
    date_to = serializers.DateField(required=False, help_text="Of a report of a range.")
    timezone = serializers.CharField(help_text="The time zone of the business day.")
    currency = CurrencyField()
    top_products = TopProductOutput(many=True)
    by_status = serializers.DictField(
        child=_count("Orders."), help_text="Orders placed in the range by their status."
    )
    by_hour = HourOutput(many=True)
    generated_at = InstantField()
    is_final = serializers.BooleanField(help_text="Whether all of its days are closed.")
    days = DayOutput(many=True, required=False, help_text="Of a report of a range.")
