"""Receives webhooks of payment providers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from django.db import DataError, connection

from oms.core.actor import Actor, system
from oms.db.transactions import transaction
from payments.gateways.base import ChargeResult, InvalidProviderEvent, ProviderEvent, RefundResult
from payments.gateways.registry import gateway_for
from payments.models import Payment
from payments.operations.outcomes import PAYMENT_STATUSES, record_charge, record_refund

# Waits while another transaction stores the same message.
_STORE = """
    INSERT INTO payments_providermessage (provider, message_id, type, body, received_at)
    VALUES (%s, %s, %s, %s::jsonb, %s)
    ON CONFLICT (provider, message_id) DO NOTHING
"""


def receive_webhook(
    *, provider: str, headers: Mapping[str, str], body: bytes, now: datetime
) -> bool:
    """Verify a webhook and apply it once; whether it changed a payment or refund.

    Raises UnknownProvider, InvalidSignature and InvalidProviderEvent.
    """
    event = gateway_for(provider).parse_event(headers=headers, body=body, now=now)
    try:
        return _apply(event, provider=provider, body=body, now=now)
    except (DataError, RecursionError) as error:  # what PostgreSQL or Python cannot store
        raise InvalidProviderEvent from error


@transaction
def _apply(event: ProviderEvent, *, provider: str, body: bytes, now: datetime) -> bool:
    # Parsed and written again, since the signed bytes may be in another encoding.
    text = json.dumps(json.loads(body))
    with connection.cursor() as cursor:
        cursor.execute(_STORE, [provider, event.id, event.type, text, now])
        if not cursor.rowcount:
            return False  # a repetition
    try:
        id = UUID(event.key)
    except ValueError:
        return False  # a charge or refund that others made with the same account
    actor = system(provider, request_id=event.id)
    if isinstance(event.result, ChargeResult):
        return _record_charge(id, event.result, actor=actor)
    if isinstance(event.result, RefundResult):
        return record_refund(actor=actor, refund_id=id, result=event.result)
    return False


def _record_charge(payment_id: UUID, result: ChargeResult, *, actor: Actor) -> bool:
    """Record `result` unless the payment has that status already.

    No lock is needed, since transitions are one-way; most webhooks repeat what the response to our
    call has reported already.
    """
    payment = Payment.objects.filter(pk=payment_id).exclude(status=PAYMENT_STATUSES[result.status])
    return payment.exists() and record_charge(actor=actor, payment_id=payment_id, result=result)
