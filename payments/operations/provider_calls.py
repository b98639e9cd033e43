"""What a provider is asked about one payment or refund; the calls of the network, and no rows.

What was perhaps sent before is looked up first, and the same key is sent again only if the provider
knows nothing of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from oms.db.transactions import durable
from payments.gateways.base import (
    ChargeResult,
    ChargeStatus,
    Gateway,
    GatewayRejected,
    GatewayUnknownOutcome,
    RefundResult,
)
from payments.gateways.registry import gateway_for
from payments.models import Payment, Refund, RequestedAction
from payments.states import CaptureMethod, PaymentStatus

Result = TypeVar("Result")


@durable
def call_for_payment(payment: Payment, *, is_first_call: bool) -> ChargeResult:
    """Take the next step of `payment` at its provider: a charge, or a capture or void.

    Raises GatewayRejected where the step itself was refused, and else as `Gateway` says.
    """
    gateway = gateway_for(payment.provider)
    if payment.status == PaymentStatus.AUTHORIZED:
        return _settle(gateway, payment)
    known = None if is_first_call else _looked_up(gateway.look_up, str(payment.id))
    return known or gateway.charge(
        key=str(payment.id),
        amount=payment.amount,
        currency=payment.currency,
        token=payment.token,
        capture=payment.capture_method == CaptureMethod.AUTOMATIC,
        reference=str(payment.order_id),
    )


def _settle(gateway: Gateway, payment: Payment) -> ChargeResult:
    key, reference = str(payment.id), payment.provider_reference
    try:
        if payment.requested_action == RequestedAction.CAPTURE:
            return gateway.capture(key=key, provider_reference=reference, amount=payment.amount)
        return gateway.void(key=key, provider_reference=reference)
    except GatewayRejected:
        # An earlier call, whose answer nobody heard, may have led it the other way.
        known = _looked_up(gateway.look_up, key)
        if known is None or known.status is ChargeStatus.AUTHORIZED:
            raise
        return known


@durable
def call_for_refund(refund: Refund, *, payment: Payment, is_first_call: bool) -> RefundResult:
    """Send `refund` of `payment` to its provider. Raises as `call_for_payment` does."""
    gateway = gateway_for(payment.provider)
    known = None if is_first_call else _looked_up(gateway.look_up_refund, str(refund.id))
    return known or gateway.refund(
        key=str(refund.id),
        provider_reference=payment.provider_reference,
        amount=refund.amount,
        reason=refund.reason,
    )


def _looked_up(look_up: Callable[..., Result | None], key: str) -> Result | None:
    """What the provider knows under `key`. That it refuses to say so is no verdict on the money."""
    try:
        return look_up(key=key)
    except GatewayRejected as refusal:
        raise GatewayUnknownOutcome(f"The look-up was refused: {refusal}") from refusal
