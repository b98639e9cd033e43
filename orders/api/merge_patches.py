"""Changes of an order as a merge patch (RFC 7396)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

from oms.api.fields import CharField, CountryField, LanguageField, MetadataField
from oms.api.serializers import InputSerializer
from orders.api.inputs import MAX_LINES, Lines, OrderedItemInput, OrderEditInput, refuse_repetitions
from orders.models import Order
from orders.operations.editing import OrderEdit

# What null makes of the optional members.
_EMPTY: Mapping[str, Any] = {
    "note": "",
    "reference": "",
    "metadata": {},
    "billing_address": {},
    "language": "",
    "internal_note": "",
}
_MERGED = ("shipping_address", "billing_address", "metadata")


class AddressPatch(InputSerializer):
    name = CharField(max_length=200, required=False)
    line1 = CharField(max_length=200, required=False)
    line2 = CharField(max_length=200, allow_blank=True, required=False, allow_null=True)
    city = CharField(max_length=100, required=False)
    postal_code = CharField(max_length=20, required=False)
    region = CharField(max_length=100, allow_blank=True, required=False, allow_null=True)
    country = CountryField(required=False)


class MetadataPatchField(MetadataField):
    """Texts by name; null removes one."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.child.allow_null = True


class OrderMergePatch(InputSerializer):
    """Addresses and metadata are merged with those of the order, the other members replace them.

    null resets an optional member, and removes a text of the metadata.
    """

    items: Lines = serializers.ListSerializer(
        child=OrderedItemInput(), min_length=1, max_length=MAX_LINES, required=False
    )
    shipping_address = AddressPatch(required=False)
    billing_address = AddressPatch(required=False, allow_null=True)
    note = CharField(
        max_length=1000, multiline=True, allow_blank=True, required=False, allow_null=True
    )
    reference = CharField(max_length=64, required=False, allow_null=True)
    metadata = MetadataPatchField(required=False, allow_null=True)
    language = LanguageField(required=False, allow_null=True)
    internal_note = CharField(
        max_length=2000, multiline=True, allow_blank=True, required=False, allow_null=True
    )

    def validate_items(self, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
        refuse_repetitions(items, name="product_id")
        return items


def merged_edit(patch: Mapping[str, Any], order: Order) -> OrderEdit:
    """The edit that a validated `patch`, whose `items` are ordered items, makes of the order.

    Raises ValidationError for an address that is not whole, and for too many metadata.
    """
    values = {name: _EMPTY[name] if value is None else value for name, value in patch.items()}
    merged = {
        name: _merged(getattr(order, name) or {}, patch[name])
        for name in _MERGED
        if patch.get(name) is not None
    }
    whole = OrderEditInput(data=merged)
    whole.is_valid(raise_exception=True)
    for name, value in whole.validated_data.items():
        values[name] = dict(value)
    return OrderEdit(**values)


def _merged(current: Mapping[str, str], patch: Mapping[str, str | None]) -> dict[str, str]:
    return {name: text for name, text in {**current, **patch}.items() if text is not None}
