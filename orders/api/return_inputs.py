"""The bodies of requests about returns."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail

from oms.api.fields import BooleanField, CharField, ChoiceField, IntegerField, UUIDField
from oms.api.serializers import InputSerializer
from orders.api.inputs import MAX_LINES, MAX_QUANTITY, Lines, refuse_repetitions
from orders.states import ReturnOutcome


class ReceivedItemInput(InputSerializer):
    """Units that arrived; of one line some may be restocked and others not."""

    order_item_id = UUIDField()
    quantity = IntegerField(min_value=1, max_value=MAX_QUANTITY)
    outcome = ChoiceField(choices=ReturnOutcome.choices)
    location = CharField(
        max_length=32,
        required=False,
        help_text="The code of the location; by default where the units were shipped from.",
    )


class ReturnedItemInput(InputSerializer):
    order_item_id = UUIDField()
    quantity = IntegerField(min_value=1, max_value=MAX_QUANTITY)
    reason = CharField(max_length=500, allow_blank=True, default="")


class ReturnReceiptInput(InputSerializer):
    """What arrived. `is_last` if no more is expected: then `items` may be missing."""

    items: Lines = serializers.ListSerializer(
        child=ReceivedItemInput(), min_length=1, max_length=MAX_LINES, required=False
    )
    refund = BooleanField(default=False)
    is_last = BooleanField(default=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "items" not in attrs and not attrs["is_last"]:
            text = "This field is required unless `is_last` is true."
            raise serializers.ValidationError({"items": [ErrorDetail(text, code="required")]})
        return attrs


class ReceivedReturnInput(InputSerializer):
    """A return that arrived without a request."""

    items: Lines = serializers.ListSerializer(
        child=ReceivedItemInput(), min_length=1, max_length=MAX_LINES
    )
    refund = BooleanField(default=False)
    reason = CharField(max_length=500, allow_blank=True, default="")


class ReturnInput(InputSerializer):
    """Shipped units that the customer sends back."""

    items: Lines = serializers.ListSerializer(
        child=ReturnedItemInput(), min_length=1, max_length=MAX_LINES
    )

    def validate_items(self, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
        refuse_repetitions(items, name="order_item_id")
        return items


class ReturnReasonInput(InputSerializer):
    reason = CharField(max_length=500)
