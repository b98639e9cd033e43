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
    units_sold = IntegerField(
        min_value=-_MOST,
        max_value=_MOST,
        help_text="Units of the confirmed orders, less those cancelled or returned to stock "
        "meanwhile, whenever they were sold; may be negative.",
    )
    gross_sales = MoneyField(
        help_text="The value of the confirmed orders, less `cancelled_sales`; may be negative."
    )
    cancelled_sales = MoneyField(
        help_text="The value of confirmed orders, or lines of them, that were cancelled, whenever "
        "they were confirmed."
    )
    refunds = MoneyField(
        help_text="Refunds that succeeded for what stays sold. What is refunded of cancelled lines "
        "has left the gross sales; a refund of lines that are cancelled later is taken back."
    )
    net_sales = MoneyField(
        help_text="Gross sales less refunds; may be negative. Over all days it is the money kept, "
        "and still owed, for sales."
    )
    refunds_of_no_sale = MoneyField(
        help_text="Refunds of money that was never for a sale, such as a late payment of an "
        "expired order; in no other figure."
    )
    average_order_value = MoneyField(
        help_text="The value of the confirmed orders per order, rounded half up; zero without "
        "orders."
    )


class TopProductOutput(OutputSerializer):
    """One of the ten products with the highest revenue, of those with units sold."""

    product_id = UUIDField()
    sku = serializers.CharField()
    name = serializers.CharField()
    units = _count("Its part of the units sold.")
    revenue = MoneyField(help_text="Its part of the gross sales.")


class HourOutput(OutputSerializer):
    """Orders confirmed in one hour, and its gross sales."""

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
