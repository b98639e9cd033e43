"""How orders are presented.

The serializers describe responses for the OpenAPI document; plain functions build them, which is
faster for lists. A test compares the two.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rest_framework import serializers

from oms.api.fields import (
    ChoiceField,
    CurrencyField,
    InstantField,
    IntegerField,
    MoneyField,
    UUIDField,
)
from oms.api.serializers import OutputSerializer
from oms.core.actor import Actor
from oms.core.money import formatted
from oms.core.permissions import Permission
from orders.api.inputs import MAX_QUANTITY
from orders.models import Order
from orders.operations.allowed_actions import allowed_actions
from orders.queries import HistoryEntry
from orders.rows import ItemRow, OrderRow
from orders.states import FulfilmentState, OrderStatus, PaymentState, ShipmentStatus
from payments.api.serializers import PaymentOutput

_MAX_INTEGER = 2**31 - 1


def order_document(
    order: Order | OrderRow, items: Iterable[ItemRow], *, actor: Actor
) -> dict[str, Any]:
    """The order as `actor` sees it; `items` are all of its items in their order."""
    document = {
        "id": order.id,
        "number": order.number,
        "customer_id": order.customer_id,
        "status": str(order.status),
        "payment_status": str(order.payment_status),
        "fulfilment_status": str(order.fulfilment_status),
        "currency": order.currency,
        "total": formatted(order.total, order.currency),
        "items": [
            {
                "id": item.id,
                "product_id": item.product_id,
                "sku": item.sku,
                "name": item.name,
                "quantity": item.quantity,
                "unit_price": item.unit_price,
                "line_total": item.line_total,
                "quantity_waiting": item.quantity_waiting,
                "quantity_shipped": item.quantity_shipped,
                "quantity_returned": item.quantity_returned,
                "quantity_cancelled": item.quantity_cancelled,
            }
            for item in items
        ],
        "shipping_address": order.shipping_address,
        "billing_address": order.billing_address,
        "note": order.note,
        "reference": order.reference,
        "metadata": order.metadata,
        "language": order.language,
        "placed_at": order.placed_at,
        "expires_at": order.expires_at,
        "updated_at": order.updated_at,
        "version": order.version,
        "allowed_actions": allowed_actions(order, actor=actor),
    }
    if actor.may(Permission.ORDERS_VIEW):
        document["internal_note"] = order.internal_note
    return document


def status_document(order: Order | OrderRow, history: Iterable[HistoryEntry]) -> dict[str, Any]:
    """The order's statuses, with the changes that the reader may see."""
    return {
        "id": order.id,
        "number": order.number,
        "status": str(order.status),
        "payment_status": str(order.payment_status),
        "fulfilment_status": str(order.fulfilment_status),
        "updated_at": order.updated_at,
        "history": [
            {"status": entry.status, "at": entry.at, "by": entry.by, "reason": entry.reason}
            for entry in history
        ],
    }


class OrderItemOutput(OutputSerializer):
    id = UUIDField()
    product_id = UUIDField()
    sku = serializers.CharField()
    name = serializers.CharField()
    quantity = IntegerField(min_value=1, max_value=MAX_QUANTITY)
    unit_price = MoneyField()
    line_total = MoneyField()
    quantity_waiting = IntegerField(
        min_value=0,
        max_value=MAX_QUANTITY,
        help_text="The part of what is not shipped yet that waits for stock.",
    )
    quantity_shipped = IntegerField(min_value=0, max_value=MAX_QUANTITY)
    quantity_returned = IntegerField(min_value=0, max_value=MAX_QUANTITY)
    quantity_cancelled = IntegerField(min_value=0, max_value=MAX_QUANTITY)


class ShippingAddressOutput(OutputSerializer):
    name = serializers.CharField()
    line1 = serializers.CharField()
    line2 = serializers.CharField()
    city = serializers.CharField()
    postal_code = serializers.CharField()
    region = serializers.CharField()
    country = serializers.CharField()


class OrderOutput(OutputSerializer):
    """An order, as `order_document` presents it; a test compares the two."""

    id = UUIDField()
    number = serializers.CharField()
    customer_id = UUIDField()
    status = ChoiceField(choices=OrderStatus.choices)
    payment_status = ChoiceField(choices=PaymentState.choices)
    fulfilment_status = ChoiceField(choices=FulfilmentState.choices)
    currency = CurrencyField()
    total = MoneyField()
    items = OrderItemOutput(many=True)
    shipping_address = ShippingAddressOutput()
    billing_address = ShippingAddressOutput(allow_null=True)
    note = serializers.CharField()
    reference = serializers.CharField(
        allow_null=True, help_text="The customer's own number of the order."
    )
    metadata = serializers.DictField(child=serializers.CharField())
    language = serializers.CharField(
        help_text="A language tag (BCP 47). Empty: the shop's own language."
    )
    internal_note = serializers.CharField(
        required=False, help_text="Only shown to staff with `orders.view`."
    )
    placed_at = InstantField()
    expires_at = InstantField(allow_null=True)
    updated_at = InstantField()
    version = IntegerField(min_value=1, max_value=_MAX_INTEGER)
    allowed_actions = serializers.ListField(
        child=serializers.CharField(),
        help_text=(
            "What the caller may do with it now: `edit`, `pay`, `cancel`, `delete`, `return`;"
            " staff also `edit_address`, `set_status:` with a status, `ship`, `cancel_items`,"
            " `refund`."
        ),
    )


class ShipmentItemOutput(OutputSerializer):
    order_item_id = UUIDField()
    quantity = IntegerField(min_value=1, max_value=MAX_QUANTITY)


class ShipmentOutput(OutputSerializer):
    """A shipment of an order."""

    id = UUIDField()
    order_id = UUIDField()
    status = ChoiceField(choices=ShipmentStatus.choices)
    carrier = serializers.CharField()
    tracking_number = serializers.CharField()
    items = ShipmentItemOutput(many=True)
    created_at = InstantField()
    shipped_at = InstantField(allow_null=True)
    delivered_at = InstantField(allow_null=True)
    tracking_url = serializers.CharField(
        help_text="Where the carrier shows the shipment; empty for unknown carriers."
    )


class CancelledItemOutput(OutputSerializer):
    order_item_id = UUIDField()
    quantity = IntegerField(min_value=1, max_value=MAX_QUANTITY)


class CancellationOutput(OutputSerializer):
    """Quantities of an order that will not be shipped; `amount` is their price."""

    id = UUIDField()
    order_id = UUIDField()
    items = CancelledItemOutput(many=True)
    amount = MoneyField()
    currency = CurrencyField()
    reason = serializers.CharField()
    refund_id = UUIDField(allow_null=True, help_text="The refund of what was paid of it.")
    created_at = InstantField()


class HistoryEntryOutput(OutputSerializer):
    """A status change of an order."""

    status = ChoiceField(choices=OrderStatus.choices)
    at = InstantField()
    by = serializers.CharField(
        help_text="The e-mail address or part of the system; for customers only its kind."
    )
    reason = serializers.CharField()


class NewCancellationOutput(CancellationOutput):
    """The cancellation and the order after it."""

    order = OrderOutput()


class ExpandedOrderOutput(OrderOutput):
    """An order with the expansions requested by `expand`."""

    payments = PaymentOutput(many=True, required=False)
    shipments = ShipmentOutput(many=True, required=False)
    history = HistoryEntryOutput(many=True, required=False)


class OrderStatusOutput(OutputSerializer):
    """The status of an order and its history."""

    id = UUIDField()
    number = serializers.CharField()
    status = ChoiceField(choices=OrderStatus.choices)
    payment_status = ChoiceField(choices=PaymentState.choices)
    fulfilment_status = ChoiceField(choices=FulfilmentState.choices)
    updated_at = InstantField()
    history = HistoryEntryOutput(many=True)


class BulkResultOutput(OutputSerializer):
    """The result of one order: the `order`, or the `problem`."""

    status = IntegerField(min_value=200, max_value=599)
    order = OrderOutput(required=False)
    problem = serializers.DictField(required=False, help_text="A problem document (RFC 9457).")


class BulkOutput(OutputSerializer):
    """The results in the order of the request."""

    results = BulkResultOutput(many=True)
