"""Output of an order as of a past time."""

from __future__ import annotations

from drf_spectacular.utils import PolymorphicProxySerializer
from rest_framework import serializers

from oms.api.serializers import OutputSerializer
from orders.api.outputs import ExpandedOrderOutput, HistoryEntryOutput
from orders.states import OrderStatus


class PastItemOutput(OutputSerializer):
    """A product of the order; what is reserved and shipped is that of the stock ledger."""

    product_id = serializers.UUIDField()
    sku = serializers.CharField()
    name = serializers.CharField()
    quantity = serializers.IntegerField()
    quantity_reserved = serializers.IntegerField(source="stock.reserved")
    quantity_shipped = serializers.IntegerField(source="stock.shipped")
    quantity_restocked = serializers.IntegerField(source="stock.restocked")


class PastOrderOutput(OutputSerializer):
    """An order as of the time `at`."""

    id = serializers.UUIDField()
    number = serializers.CharField()
    customer_id = serializers.UUIDField()
    at = serializers.DateTimeField()
    status = serializers.ChoiceField(choices=OrderStatus.choices)
    items = PastItemOutput(many=True)
    history = HistoryEntryOutput(many=True)


NOW_OR_THEN = PolymorphicProxySerializer(
    component_name="OrderNowOrThen",
    serializers=[ExpandedOrderOutput, PastOrderOutput],
    resource_type_field_name=None,
)
"""The order as it is, or with `at` as it was."""
