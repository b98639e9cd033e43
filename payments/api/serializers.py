"""Output of payments and refunds."""

from __future__ import annotations

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
from payments.states import Origin, PaymentStatus, RefundStatus

_COUNT = 2**31 - 1


class RefundOutput(OutputSerializer):
    """A refund of a payment."""

    id = UUIDField()
    payment_id = UUIDField()
    order_id = UUIDField(allow_null=True, help_text="Null if others charged for no order of ours.")
    origin = ChoiceField(
        choices=Origin.choices,
        help_text="`provider` if somebody else made it at the payment provider.",
    )
    is_dispute = serializers.BooleanField(
        help_text="Disputed by the customer: in progress until decided, and failed if the shop won."
    )
    amount = MoneyField()
    currency = CurrencyField()
    reason = serializers.CharField()
    status = ChoiceField(choices=RefundStatus.choices)
    failure_code = serializers.CharField()
    created_at = InstantField()
    updated_at = InstantField()
    succeeded_at = InstantField(allow_null=True)


class PaymentOutput(OutputSerializer):
    """A payment of an order, with its refunds."""

    id = UUIDField()
    order_id = UUIDField(allow_null=True, help_text="Null if others charged for no order of ours.")
    origin = ChoiceField(
        choices=Origin.choices,
        help_text="`provider` for money that was captured otherwise than by a payment of the shop.",
    )
    provider = serializers.CharField()
    amount = MoneyField()
    currency = CurrencyField()
    status = ChoiceField(choices=PaymentStatus.choices)
    captured_amount = MoneyField()
    refunded_amount = MoneyField()
    refundable = MoneyField(help_text="What is left to refund.")
    failure_code = serializers.CharField()
    failure_message = serializers.CharField()
    created_at = InstantField()
    updated_at = InstantField()
    captured_at = InstantField(allow_null=True)
    refunds = RefundOutput(many=True)


class AdminPaymentOutput(PaymentOutput):
    """A payment with its attempts and errors, for staff."""

    provider_reference = serializers.CharField()
    attempts = IntegerField(min_value=0, max_value=_COUNT)
    next_attempt_at = InstantField(allow_null=True)
    last_error = serializers.CharField()
