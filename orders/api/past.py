"""Output of an order as of a past time."""

from __future__ import annotations

from drf_spectacular.utils import PolymorphicProxySerializer
from rest_framework import serializers

from oms.api.fields import ChoiceField, CurrencyField, MoneyField
from oms.api.serializers import OutputSerializer
from orders.api.outputs import ExpandedOrderOutput, HistoryEntryOutput
from orders.states import FulfilmentState, OrderStatus, PaymentState


class PastItemOutput(OutputSerializer):
    """A product of the order; what is reserved and shipped is that of the stock ledger."""

    product_id = serializers.UUIDField()
    sku = serializers.CharField()
    name = serializers.CharField()
    quantity = serializers.IntegerField()
    quantity_reserved = serializers.IntegerField(source="stock.reserved")
    quantity_waiting = serializers.IntegerField(
        source="waiting",
        help_text="The part of what was not shipped yet that waited for stock.",
    )
    quantity_shipped = serializers.IntegerField(source="stock.shipped")
    quantity_restocked = serializers.IntegerField(source="stock.restocked")
    quantity_cancelled = serializers.IntegerField(source="cancelled")


class PastOrderOutput(OutputSerializer):
    """An order as of the time `at`, as far as log and ledgers know.

    `payment_status` is what its payments were by then, also if the order followed a moment later.
    """

    id = serializers.UUIDField()
    number = serializers.CharField()
    customer_id = serializers.UUIDField()
    at = serializers.DateTimeField()
    status = ChoiceField(choices=OrderStatus.choices)
    payment_status = ChoiceField(choices=PaymentState.choices)
    fulfilment_status = ChoiceField(choices=FulfilmentState.choices)
    currency = CurrencyField()
    total = MoneyField()
    items = PastItemOutput(many=True)
    history = HistoryEntryOutput(many=True)


NOW_OR_THEN = PolymorphicProxySerializer(
    component_name="OrderNowOrThen",
    serializers=[ExpandedOrderOutput, PastOrderOutput],
    resource_type_field_name=None,
)
"""The order as it is, or with `at` as it was."""
