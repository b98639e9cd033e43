"""The bodies of requests about orders."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, TypeAlias

from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail

from oms.api.fields import (
    BooleanField,
    CharField,
    ChoiceField,
    CountryField,
    IntegerField,
    LanguageField,
    MetadataField,
    MoneyField,
    UUIDField,
)
from oms.api.serializers import InputSerializer
from oms.http.problems import invalid
from orders.states import OrderStatus
from payments.gateways.registry import GATEWAYS

MAX_LINES = 100
MAX_QUANTITY = 10_000
MAX_BULK = 500
# More than the total of any order.
_MAX_AMOUNT = Decimal("9999999999999999.999")

_REFERENCE = "Your own number of the order. A customer can use each only once, for ever."
_METADATA = "Texts of your own by names of your own; shown with the order and never interpreted."
_INTERNAL = "A note for staff, never shown to customers."
_TAG = "such as `de` or `pt-BR` (BCP 47)"

Lines: TypeAlias = serializers.ListSerializer[Any]


_NAMES = {"product_id": "product", "order_item_id": "order item"}


def refuse_repetitions(lines: Sequence[dict[str, Any]], *, name: str) -> None:
    """Raise ValidationError for each line whose `name` an earlier one has."""
    seen, errors = set(), {}
    for number, line in enumerate(lines):
        if line[name] in seen:
            text = f"Duplicate {_NAMES[name]}: combine the quantities in one line."
            errors[str(number)] = {name: [ErrorDetail(text, code="duplicate")]}
        seen.add(line[name])
    if errors:
        raise serializers.ValidationError(errors)


class OrderedItemInput(InputSerializer):
    product_id = UUIDField()
    quantity = IntegerField(min_value=1, max_value=MAX_QUANTITY)


class ShippingAddressInput(InputSerializer):
    name = CharField(max_length=200)
    line1 = CharField(max_length=200)
    line2 = CharField(max_length=200, allow_blank=True, default="")
    city = CharField(max_length=100)
    postal_code = CharField(max_length=20)
    region = CharField(max_length=100, allow_blank=True, default="")
    country = CountryField()


class PaymentChoiceInput(InputSerializer):
    provider = ChoiceField(choices=sorted(GATEWAYS))
    token = CharField(max_length=255)


class NewPaymentInput(PaymentChoiceInput):
    """A payment of an order; with `expected_total` only if that is its total."""

    expected_total = MoneyField(required=False, max_value=_MAX_AMOUNT)


class OrderInput(InputSerializer):
    """A new order."""

    items: Lines = serializers.ListSerializer(
        child=OrderedItemInput(), min_length=1, max_length=MAX_LINES
    )
    shipping_address = ShippingAddressInput()
    payment = PaymentChoiceInput(required=False)
    note = CharField(max_length=1000, multiline=True, allow_blank=True, default="")
    reference = CharField(max_length=64, required=False, help_text=_REFERENCE)
    metadata = MetadataField(required=False, help_text=_METADATA)
    billing_address = ShippingAddressInput(required=False)
    language = LanguageField(
        required=False,
        help_text=f"The language of the customer's messages, {_TAG}. Default: the account's.",
    )
    customer_id = UUIDField(
        required=False,
        help_text="For staff with `orders.place_for_customer`: the customer who orders.",
    )
    internal_note = CharField(
        max_length=2000,
        multiline=True,
        allow_blank=True,
        required=False,
        help_text=f"{_INTERNAL} Needs `orders.place_for_customer`.",
    )

    def validate_items(self, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
        refuse_repetitions(items, name="product_id")
        return items


class EachByItself(serializers.ListSerializer[Any]):
    """A list in which one invalid member does not make the others invalid.

    The value of an invalid member is its error, whose pointers begin at the member.
    """

    def run_child_validation(self, data: Any) -> Any:
        try:
            return super().run_child_validation(data)
        except serializers.ValidationError as error:
            return invalid(error)


class BulkOrderInput(InputSerializer):
    """Many new orders."""

    orders: Lines = EachByItself(child=OrderInput(), min_length=1, max_length=MAX_BULK)
    on_error = ChoiceField(choices=["continue", "reject_all"], default="continue")


class OrderEditInput(InputSerializer):
    """The changes; missing members are not changed."""

    items: Lines = serializers.ListSerializer(
        child=OrderedItemInput(), min_length=1, max_length=MAX_LINES, required=False
    )
    shipping_address = ShippingAddressInput(required=False)
    note = CharField(max_length=1000, multiline=True, allow_blank=True, required=False)
    reference = CharField(max_length=64, required=False, help_text=_REFERENCE)
    metadata = MetadataField(required=False, help_text=f"{_METADATA} Replaces all of it.")
    billing_address = ShippingAddressInput(required=False)
    language = LanguageField(required=False, help_text=f"A language tag, {_TAG}.")
    internal_note = CharField(
        max_length=2000,
        multiline=True,
        allow_blank=True,
        required=False,
        help_text=f"{_INTERNAL} Needs `orders.edit`.",
    )

    def validate_items(self, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
        refuse_repetitions(items, name="product_id")
        return items


class CancelInput(InputSerializer):
    reason = CharField(max_length=500, allow_blank=True, default="")


class StatusInput(InputSerializer):
    status = ChoiceField(choices=OrderStatus.choices)
    reason = CharField(max_length=500, allow_blank=True, default="")
    carrier = CharField(max_length=100, allow_blank=True, default="")
    tracking_number = CharField(max_length=100, allow_blank=True, default="")


class ShippedItemInput(InputSerializer):
    order_item_id = UUIDField()
    quantity = IntegerField(min_value=1, max_value=MAX_QUANTITY)


class ShipmentInput(InputSerializer):
    """A shipment, of everything that is left if `items` is missing."""

    items: Lines = serializers.ListSerializer(
        child=ShippedItemInput(), min_length=1, max_length=MAX_LINES, required=False
    )
    carrier = CharField(max_length=100, allow_blank=True, default="")
    tracking_number = CharField(max_length=100, allow_blank=True, default="")

    def validate_items(self, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
        refuse_repetitions(items, name="order_item_id")
        return items


class ShipmentCorrectionInput(InputSerializer):
    """The corrected values; missing members are not changed."""

    carrier = CharField(max_length=100, allow_blank=True, required=False)
    tracking_number = CharField(max_length=100, allow_blank=True, required=False)


class CancellationInput(InputSerializer):
    """Quantities that will not be shipped."""

    items: Lines = serializers.ListSerializer(
        child=ShippedItemInput(), min_length=1, max_length=MAX_LINES
    )
    reason = CharField(max_length=500, allow_blank=True, default="")

    def validate_items(self, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
        refuse_repetitions(items, name="order_item_id")
        return items


class RefundedItemInput(ShippedItemInput):
    restock = BooleanField(default=False)
    location = CharField(
        max_length=32,
        required=False,
        help_text="The code of the location to which shipped units came back.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "location" in attrs and not attrs["restock"]:
            text = "Only restocked items have a location."
            raise serializers.ValidationError({"location": [ErrorDetail(text, code="invalid")]})
        return attrs


class RefundInput(InputSerializer):
    """A refund of `items` at their price, of an `amount`, or of everything that is left."""

    amount = MoneyField(is_positive=True, max_value=_MAX_AMOUNT, required=False)
    items: Lines = serializers.ListSerializer(
        child=RefundedItemInput(), min_length=1, max_length=MAX_LINES, required=False
    )
    reason = CharField(max_length=500)
    restock = BooleanField(default=False)

    def validate_items(self, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
        refuse_repetitions(items, name="order_item_id")
        return items

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "items" in attrs and ("amount" in attrs or attrs["restock"]):
            text = "Items have their own prices, and each its own `restock`."
            name = "amount" if "amount" in attrs else "restock"
            raise serializers.ValidationError({name: [ErrorDetail(text, code="invalid")]})
        return attrs
