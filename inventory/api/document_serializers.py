"""Input and output of receipts, transfers and counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

from inventory.models import MAX_QUANTITY
from inventory.operations.documents import MAX_LINES, StockLine
from oms.api.fields import CharField, IntegerField, UUIDField
from oms.api.serializers import InputSerializer, OutputSerializer

Lines = serializers.ListSerializer[Any]

_REFERENCE = "Yours, such as the number of the delivery note; each is used once."
_LOCATION = "A location's code; by default that of the default location."


class _ProductInput(InputSerializer):
    """A product by its id or its SKU."""

    constraints = {"oneOf": [{"required": ["product_id"]}, {"required": ["sku"]}]}

    product_id = UUIDField(required=False)
    sku = CharField(max_length=64, required=False, help_text="In any case.")

    def validate(self, attrs: Mapping[str, Any]) -> StockLine:
        """The line for the operation."""
        values = dict(attrs)
        if ("product_id" in values) == ("sku" in values):
            code = "exclusive" if "sku" in values else "required"
            raise serializers.ValidationError(
                {"product_id": "Name the product by either product_id or sku."}, code=code
            )
        values["quantity"] = values.pop("counted", values.get("quantity"))
        return StockLine(**values)


class QuantityInput(_ProductInput):
    quantity = IntegerField(min_value=1, max_value=MAX_QUANTITY)


class CountedInput(_ProductInput):
    counted = IntegerField(min_value=0, max_value=MAX_QUANTITY)
    expected_on_hand = IntegerField(
        min_value=0,
        max_value=MAX_QUANTITY,
        required=False,
        help_text="Expected quantity on hand; 409 if it differs.",
    )


class _DocumentInput(InputSerializer):
    reference = CharField(max_length=64, help_text=_REFERENCE)

    def validate(self, attrs: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of the operation."""
        values = dict(attrs)
        values["lines"] = values.pop("items")
        return values


class ReceiptInput(_DocumentInput):
    location = CharField(max_length=32, required=False, help_text=_LOCATION)
    items: Lines = serializers.ListSerializer(
        child=QuantityInput(), min_length=1, max_length=MAX_LINES
    )


class CountInput(_DocumentInput):
    location = CharField(max_length=32, required=False, help_text=_LOCATION)
    items: Lines = serializers.ListSerializer(
        child=CountedInput(), min_length=1, max_length=MAX_LINES
    )


class TransferInput(_DocumentInput):
    to = CharField(max_length=32, help_text="The code of the location that receives the stock.")
    items: Lines = serializers.ListSerializer(
        child=QuantityInput(), min_length=1, max_length=MAX_LINES
    )

    def get_fields(self) -> dict[str, Any]:
        # A word of Python's, which no attribute of a class can be called.
        source = CharField(max_length=32, help_text="The code of the location that has the stock.")
        return {"from": source, **super().get_fields()}

    def validate(self, attrs: Mapping[str, Any]) -> dict[str, Any]:
        values = super().validate(attrs)
        values["from_location"] = values.pop("from")
        return values


class _ItemOutput(OutputSerializer):
    product_id = serializers.UUIDField()
    sku = serializers.CharField(source="product.sku")


class ReceiptItemOutput(_ItemOutput):
    quantity = serializers.IntegerField()
    is_booked = serializers.SerializerMethodField()

    def get_is_booked(self, item: Any) -> bool:
        return item.on_hand_delta is not None


class TransferItemOutput(_ItemOutput):
    quantity = serializers.IntegerField()


class CountItemOutput(_ItemOutput):
    counted = serializers.IntegerField(source="quantity")
    expected_on_hand = serializers.IntegerField(allow_null=True)
    on_hand_delta = serializers.IntegerField(help_text="The change of the quantity on hand.")


class _DocumentOutput(OutputSerializer):
    id = serializers.UUIDField()
    reference = serializers.CharField()
    items_total = serializers.IntegerField()
    actor = serializers.CharField(source="actor_label")
    actor_id = serializers.UUIDField(allow_null=True)
    created_at = serializers.DateTimeField()


class ReceiptOutput(_DocumentOutput):
    location = serializers.CharField(source="location.code")
    items_booked = serializers.IntegerField(help_text="How many of the items are in stock already.")
    completed_at = serializers.DateTimeField(
        allow_null=True, help_text="When all items were booked; null until then."
    )


class ReceiptDetailOutput(ReceiptOutput):
    items = ReceiptItemOutput(many=True, source="items.all")


class TransferOutput(_DocumentOutput):
    to = serializers.CharField(source="location.code")

    def get_fields(self) -> dict[str, Any]:
        return {"from": serializers.CharField(source="from_location.code"), **super().get_fields()}


class TransferDetailOutput(TransferOutput):
    items = TransferItemOutput(many=True, source="items.all")


class CountOutput(_DocumentOutput):
    location = serializers.CharField(source="location.code")


class CountDetailOutput(CountOutput):
    items = CountItemOutput(many=True, source="items.all")
