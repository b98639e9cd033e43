"""Input and output of the products and stock API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.validators import RegexValidator
from rest_framework import serializers

from inventory.models import MAX_QUANTITY, MovementKind, Product
from inventory.operations.adjustments import AdjustmentReason, Change, Count
from inventory.queries import ProductRow
from oms.api.fields import (
    BooleanField,
    CharField,
    ChoiceField,
    CurrencyField,
    IntegerField,
    MoneyField,
    UUIDField,
)
from oms.api.serializers import InputSerializer, OutputSerializer
from oms.core.money import formatted

_SKU = RegexValidator(
    r"^[A-Za-z0-9][A-Za-z0-9._/-]*$", "Letters, digits and . _ / - after a letter or digit."
)


def _shop_currency() -> str:
    return str(settings.SHOP_CURRENCY)


class ProductInput(InputSerializer):
    """PUT replaces the whole product, so what is missing gets its default."""

    sku = CharField(max_length=64, validators=[_SKU], help_text="Unique regardless of case.")
    name = CharField(max_length=200)
    price = MoneyField()
    description = CharField(max_length=10_000, multiline=True, allow_blank=True, default="")
    category = CharField(max_length=64, allow_blank=True, default="")
    currency = CurrencyField(default=_shop_currency, help_text="The shop's by default.")
    is_active = BooleanField(default=True, help_text="Visible and available for sale.")
    low_stock_threshold = IntegerField(min_value=0, max_value=MAX_QUANTITY, default=5)
    backorderable = BooleanField(default=False, help_text="Can be sold when out of stock.")


class NewProductInput(ProductInput):
    initial_stock = IntegerField(
        min_value=0,
        max_value=MAX_QUANTITY,
        default=0,
        help_text="Quantity at the default location.",
    )


def product_document(
    product: ProductRow | Product, *, available: int, for_staff: bool
) -> dict[str, Any]:
    """A product as shown; `available` is the quantity that can be ordered."""
    document = {
        "id": product.id,
        "sku": product.sku,
        "name": product.name,
        "description": product.description,
        "category": product.category,
        "price": formatted(product.price, product.currency),
        "currency": product.currency,
        "is_active": product.is_active,
        "available": available,
        "version": product.version,
        "created_at": product.created_at,
        "updated_at": product.updated_at,
    }
    if for_staff:
        document["low_stock_threshold"] = product.low_stock_threshold
        document["backorderable"] = product.backorderable
    return document


class ProductOutput(OutputSerializer):
    """Of products: what `product_document` makes; a test compares the two."""

    id = serializers.UUIDField()
    sku = serializers.CharField()
    name = serializers.CharField()
    description = serializers.CharField()
    category = serializers.CharField(help_text="Empty for none.")
    price = MoneyField()
    currency = serializers.CharField()
    is_active = serializers.BooleanField()
    available = serializers.IntegerField(
        help_text="Quantity that is there for new orders; 0 while others wait."
    )
    version = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class StaffProductOutput(ProductOutput):
    """What staff see of a product."""

    low_stock_threshold = serializers.IntegerField(required=False, help_text="Shown to staff.")
    backorderable = serializers.BooleanField(required=False, help_text="Shown to staff.")

    def to_representation(self, instance: Any) -> dict[str, Any]:
        return product_document(instance, available=instance.available, for_staff=True)


class InventoryOutput(OutputSerializer):
    product_id = serializers.UUIDField()
    sku = serializers.CharField()
    available = serializers.IntegerField()
    in_stock = serializers.BooleanField(help_text="Whether any is available.")
    updated_at = serializers.DateTimeField(help_text="When the stock last moved.")


class LocationStockOutput(OutputSerializer):
    code = serializers.CharField()
    on_hand = serializers.IntegerField()
    reserved = serializers.IntegerField()
    available = serializers.IntegerField()


class StaffInventoryOutput(InventoryOutput):
    """The stock of a product; from `on_hand` on it is shown to staff only."""

    on_hand = serializers.IntegerField(required=False)
    reserved = serializers.IntegerField(required=False)
    low_stock_threshold = serializers.IntegerField(required=False)
    is_low_stock = serializers.BooleanField(required=False)
    locations = LocationStockOutput(many=True, required=False)


class ReservationOutput(OutputSerializer):
    order_id = serializers.UUIDField()
    location = serializers.CharField()
    quantity = serializers.IntegerField()


class QueuedOrderOutput(OutputSerializer):
    order_id = serializers.UUIDField()
    quantity = serializers.IntegerField()
    since = serializers.DateTimeField()


class UnbookedItemOutput(OutputSerializer):
    receipt_id = serializers.UUIDField()
    reference = serializers.CharField()
    location = serializers.CharField()
    quantity = serializers.IntegerField()


class AvailabilityOutput(OutputSerializer):
    """`reserved_by` and `queue` are shown to staff who may view orders."""

    product_id = serializers.UUIDField(source="stock.product_id")
    sku = serializers.CharField(source="stock.sku")
    on_hand = serializers.IntegerField(source="stock.on_hand")
    reserved = serializers.IntegerField(source="stock.reserved")
    available = serializers.IntegerField(source="stock.available")
    waiting = serializers.IntegerField(help_text="The quantity that orders wait for.")
    locations = LocationStockOutput(many=True, source="stock.locations")
    reserved_by = ReservationOutput(many=True, required=False, help_text="Oldest orders first.")
    queue = QueuedOrderOutput(many=True, required=False, help_text="In the order of allocation.")
    under_way = UnbookedItemOutput(many=True, help_text="In receipts that are not finished.")
    is_truncated = serializers.BooleanField(help_text="Whether a list has more than 200 rows.")


class AdjustmentInput(InputSerializer):
    """Either `delta`, or `set_to` with `expected_on_hand`."""

    constraints = {
        "oneOf": [{"required": ["delta"]}, {"required": ["set_to", "expected_on_hand"]}],
        "dependentRequired": {"set_to": ["expected_on_hand"], "expected_on_hand": ["set_to"]},
    }

    product_id = UUIDField()
    reason = ChoiceField(choices=[reason.value for reason in AdjustmentReason])
    location = CharField(
        max_length=32,
        required=False,
        help_text="A location's code; by default that of the default location.",
    )
    note = CharField(max_length=500, required=False, allow_blank=True)
    delta = IntegerField(
        min_value=-MAX_QUANTITY,
        max_value=MAX_QUANTITY,
        required=False,
        help_text="Quantity change; not 0.",
    )
    set_to = IntegerField(
        min_value=0, max_value=MAX_QUANTITY, required=False, help_text="Counted quantity."
    )
    expected_on_hand = IntegerField(
        min_value=0,
        max_value=MAX_QUANTITY,
        required=False,
        help_text="Expected quantity on hand; 409 if it differs.",
    )

    def validate(self, attrs: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of `adjust_stock`."""
        values = dict(attrs)
        delta, set_to, expected = (
            values.pop(name, None) for name in ("delta", "set_to", "expected_on_hand")
        )
        if delta is not None and (set_to is not None or expected is not None):
            raise serializers.ValidationError(
                {"delta": "Not together with set_to or expected_on_hand."}, code="exclusive"
            )
        if delta is None and set_to is None and expected is None:
            raise serializers.ValidationError(
                {"delta": "Needed, or set_to with expected_on_hand."}, code="required"
            )
        if delta is None and (set_to is None or expected is None):
            missing, other = (
                ("set_to", "expected_on_hand") if set_to is None else ("expected_on_hand", "set_to")
            )
            raise serializers.ValidationError(
                {missing: f"Needed together with {other}."}, code="required"
            )
        amount = (
            Count(set_to=set_to, expected_on_hand=expected)
            if delta is None
            else Change(delta=delta)
        )
        return {**values, "reason": AdjustmentReason(values["reason"]), "amount": amount}


class MovementOutput(OutputSerializer):
    id = serializers.UUIDField()
    product_id = serializers.UUIDField()
    sku = serializers.CharField(source="product.sku")
    location = serializers.CharField(source="location.code")
    kind = serializers.ChoiceField(choices=MovementKind.choices)
    on_hand_delta = serializers.IntegerField()
    reserved_delta = serializers.IntegerField()
    on_hand_after = serializers.IntegerField()
    reserved_after = serializers.IntegerField()
    reference = serializers.CharField(help_text="What caused the movement.")
    reason = serializers.CharField(help_text="Of an adjustment; else empty.")
    note = serializers.CharField()
    order_id = serializers.UUIDField(allow_null=True)
    actor = serializers.CharField(source="actor_label")
    actor_id = serializers.UUIDField(allow_null=True)
    created_at = serializers.DateTimeField()
