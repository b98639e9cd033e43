"""Serializers of reports."""

from __future__ import annotations

from rest_framework import serializers

from oms.api.fields import CurrencyField, InstantField, IntegerField, MoneyField, UUIDField
from oms.api.serializers import OutputSerializer

_MOST = 2**53 - 1


def _count(help_text: str) -> IntegerField:
    return IntegerField(min_value=0, max_value=_MOST, help_text=help_text)


class _FiguresOutput(OutputSerializer):
    orders_placed = _count("Orders placed, including deleted ones.")
    orders_confirmed = _count("Orders confirmed for the first time.")
    orders_cancelled = _count("Orders cancelled, whenever they were placed.")
    units_sold = _count("Units on the confirmed orders.")
    gross_sales = MoneyField(help_text="Totals of the confirmed orders.")
    refunds = MoneyField(help_text="Refunds that succeeded.")
    net_sales = MoneyField(help_text="Gross sales less refunds; may be negative.")
    average_order_value = MoneyField(
        help_text="Gross sales per order, rounded half up; zero without orders."
    )


class TopProductOutput(OutputSerializer):
    """One of the ten products with the highest revenue on confirmed orders."""

    product_id = UUIDField()
    sku = serializers.CharField()
    name = serializers.CharField()
    units = _count("Units sold.")
    revenue = MoneyField()


class HourOutput(OutputSerializer):
    """Orders confirmed in one hour."""

    hour = serializers.CharField(
        help_text="For one day: the start of the hour in local time with its offset, such as "
        "2026-11-20T14:00:00+01:00. For a range: the hour of the day, 00 to 23."
    )
    orders = _count("Orders confirmed.")
    gross_sales = MoneyField()


class DayOutput(_FiguresOutput):
    """One day of a range."""

    date = serializers.DateField()
    is_final = serializers.BooleanField()


class DailyReportOutput(_FiguresOutput):
    """The sales of one business day or of a range."""

    date = serializers.DateField(required=False, help_text="For one day.")
    date_from = serializers.DateField(required=False, help_text="For a range.")
    date_to = serializers.DateField(required=False, help_text="For a range.")
    timezone = serializers.CharField(help_text="The time zone of the business day.")
    currency = CurrencyField()
    top_products = TopProductOutput(many=True)
    by_status = serializers.DictField(
        child=_count("Orders."), help_text="Orders placed, by status."
    )
    by_hour = HourOutput(many=True)
    generated_at = InstantField()
    is_final = serializers.BooleanField(help_text="Whether all days are closed.")
    days = DayOutput(many=True, required=False, help_text="For a range.")
