"""Calls to the provider for one payment or refund; they use the network and no database.

What may have been sent before is looked up first, and the same key is sent again only if the
provider does not know it.
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
from payments.states import CaptureMethod, PaymentStatus, RefundStatus

Result = TypeVar("Result")


@durable
def call_for_payment(payment: Payment) -> ChargeResult:
    """Charge `payment`, or capture or void it if it is authorized.

    Raises GatewayRejected if that was rejected, and the other errors of `Gateway`.
    """
    gateway = gateway_for(payment.provider)
    if payment.status == PaymentStatus.AUTHORIZED:
        return _capture_or_void(gateway, payment)
    is_first_call = payment.status == PaymentStatus.CREATED
    known = None if is_first_call else _look_up(gateway.look_up, str(payment.id))
    return known or gateway.charge(
        key=str(payment.id),
        amount=payment.amount,
        currency=payment.currency,
        token=payment.token,
        capture=payment.capture_method == CaptureMethod.AUTOMATIC,
        reference=str(payment.order_id),
    )


def _capture_or_void(gateway: Gateway, payment: Payment) -> ChargeResult:
    key, reference = str(payment.id), payment.provider_reference
    try:
        if payment.requested_action == RequestedAction.CAPTURE:
            return gateway.capture(
                key=key,
                provider_reference=reference,
                amount=payment.amount,
                currency=payment.currency,
            )
        return gateway.void(key=key, provider_reference=reference)
    except GatewayRejected:
        # An earlier call without a response may have done the opposite.
        known = _look_up(gateway.look_up, key)
        if known is None or known.status is ChargeStatus.AUTHORIZED:
            raise
        return known


@durable
def call_for_refund(refund: Refund) -> RefundResult:
    """Send `refund`, whose payment is loaded, to its provider. Raises as `call_for_payment`."""
    payment = refund.payment
    gateway = gateway_for(payment.provider)
    is_first_call = refund.status == RefundStatus.REQUESTED
    known = None if is_first_call else _look_up(gateway.look_up_refund, str(refund.id))
    return known or gateway.refund(
        key=str(refund.id),
        provider_reference=payment.provider_reference,
        amount=refund.amount,
        currency=refund.currency,
        reason=refund.reason,
    )


def _look_up(look_up: Callable[..., Result | None], key: str) -> Result | None:
    """The provider's result for `key`. A rejected look-up says nothing about the charge."""
    try:
        return look_up(key=key)
    except GatewayRejected as error:
        raise GatewayUnknownOutcome(f"The look-up was rejected: {error}") from error
