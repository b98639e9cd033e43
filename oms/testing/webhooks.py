"""Signed webhooks of the sandbox provider for tests."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from django.conf import settings

from oms.core import clock
from oms.core.money import to_minor_units
from payments.models import Payment, Refund
from payments.signatures import sign

WEBHOOKS = "/api/v1/payments/webhooks/sandbox"


def charge_of(payment: Payment, status: str = "captured") -> dict[str, Any]:
    """The payment's charge as the sandbox provider shows it."""
    amount = to_minor_units(payment.amount, payment.currency)
    return {
        "id": f"ch_{payment.id}",
        "idempotency_key": str(payment.id),
        "status": status,
        "amount": amount,
        "currency": payment.currency,
        "captured_amount": amount if status == "captured" else 0,
        "refunded_amount": 0,
        "decline_code": "card_declined" if status == "declined" else None,
        "decline_message": "No." if status == "declined" else None,
    }


def refund_of(refund: Refund) -> dict[str, Any]:
    """The succeeded refund as the sandbox provider shows it."""
    return {
        "id": "re_1",
        "idempotency_key": str(refund.id),
        "status": "succeeded",
        "charge_id": refund.payment.provider_reference,
        "amount": to_minor_units(refund.amount, refund.currency),
        "currency": refund.currency,
    }


def webhook_body(data: dict[str, Any], *, type: str, id: str) -> bytes:
    """The body of a webhook about a charge or refund."""
    created = clock.now().isoformat()
    return json.dumps({"id": id, "type": type, "created_at": created, "data": data}).encode()


def signed_headers(
    body: bytes, *, id: str, at: datetime | None = None, secret: str = ""
) -> dict[str, str]:
    """The headers that sign the body; by default with the provider's secret, at this moment."""
    timestamp = int((at or clock.now()).timestamp())
    secret = secret or settings.SANDBOX_WEBHOOK_SECRET
    return {
        "webhook-id": id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(secret=secret, id=id, timestamp=timestamp, body=body),
    }
