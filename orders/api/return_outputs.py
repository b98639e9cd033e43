"""How returns are presented."""

from __future__ import annotations

from rest_framework import serializers

from oms.api.fields import ChoiceField, InstantField, IntegerField, UUIDField
from oms.api.serializers import OutputSerializer
from orders.api.inputs import MAX_QUANTITY
from orders.states import ReturnOutcome, ReturnStatus


class ReturnItemOutput(OutputSerializer):
    order_item_id = UUIDField()
    quantity = IntegerField(min_value=1, max_value=MAX_QUANTITY)
    quantity_received = IntegerField(min_value=0, max_value=MAX_QUANTITY)
    reason = serializers.CharField()


class ReceivedItemOutput(OutputSerializer):
    order_item_id = UUIDField(source="return_item.order_item_id")
    quantity = IntegerField(min_value=1, max_value=MAX_QUANTITY)
    outcome = ChoiceField(choices=ReturnOutcome.choices)
    location = serializers.CharField(help_text="Empty for where the units were shipped from.")


class ReturnReceiptOutput(OutputSerializer):
    """What arrived at one time, and its refund if there is one."""

    id = UUIDField()
    items = ReceivedItemOutput(many=True)
    refund_id = UUIDField(allow_null=True)
    created_at = InstantField()


class ReturnOutput(OutputSerializer):
    """A return of an order; `reason` is why it was rejected or cancelled."""

    id = UUIDField()
    order_id = UUIDField()
    status = ChoiceField(choices=ReturnStatus.choices)
    reason = serializers.CharField()
    items = ReturnItemOutput(many=True)
    receipts = ReturnReceiptOutput(many=True)
    created_at = InstantField()
    updated_at = InstantField()
