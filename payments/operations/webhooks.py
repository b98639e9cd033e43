"""Receives webhooks of payment providers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import msgspec
from django.db import DataError

from oms.core import clock
from oms.core.actor import Actor, system
from oms.core.ids import as_uuid
from oms.db.pipeline import Pipeline
from oms.db.transactions import transaction_required
from payments.gateways.base import ChargeResult, InvalidProviderEvent, ProviderEvent, RefundResult
from payments.gateways.registry import gateway_for
from payments.locks import lock_payments
from payments.operations.outcomes import (
    PAYMENT_STATUSES,
    ChargeUpdate,
    record_charges,
    record_refund,
)
from payments.operations.provider_captures import record_foreign_charge
from payments.operations.provider_refunds import record_provider_refund
from payments.queries import payments_of_references, payments_of_refunds, query_statuses

# Waits while another transaction stores the same message; sorted, so that two batches with the same
# messages do not wait for each other in a circle. A message that is there twice is stored once.
_STORE = """
    INSERT INTO payments_providermessage (provider, message_id, type, body, received_at)
    SELECT provider, message_id, type, body::jsonb, received_at
    FROM json_to_recordset(%s::json)
        AS new (provider text, message_id text, type text, body text, received_at timestamptz)
    ORDER BY provider, message_id
    ON CONFLICT (provider, message_id) DO NOTHING
    RETURNING provider, message_id
"""


@dataclass(frozen=True, kw_only=True)
class VerifiedWebhook:
    """A webhook whose signature was verified.

    `object_id` is that of the payment or refund, which may be unknown; None for a charge or refund
    that others made with the same account. `body` is its JSON text.
    """

    provider: str
    event: ProviderEvent
    object_id: UUID | None
    body: str

    @property
    def actor(self) -> Actor:
        """Who reports it."""
        return system(self.provider, request_id=self.event.id)


def verify_webhook(
    *, provider: str, headers: Mapping[str, str], body: bytes, now: datetime
) -> VerifiedWebhook:
    """The webhook with this raw body, without any access to the database.

    Raises UnknownProvider, InvalidSignature and InvalidProviderEvent.
    """
    event = gateway_for(provider).parse_event(headers=headers, body=body, now=now)
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise InvalidProviderEvent from error
    return VerifiedWebhook(provider=provider, event=event, object_id=as_uuid(event.key), body=text)


@transaction_required
def apply_webhooks(webhooks: Sequence[VerifiedWebhook], *, pipeline: Pipeline) -> None:
    """Store the webhooks and apply each once, in their order.

    The number of statements does not depend on the number of webhooks, but for those of refunds
    and of what others did at the provider.
    Raises InvalidProviderEvent if PostgreSQL cannot store one of them.
    """
    charged = {webhook.object_id for webhook in webhooks if webhook.object_id is not None}
    try:
        stored = pipeline.query(_STORE, [_rows(webhooks, at=clock.now())])
        # Read without locks, since transitions are one-way; most webhooks repeat what the response
        # to our call has reported already.
        statuses = query_statuses(charged, pipeline=pipeline)
        new = set(stored.rows())
    except DataError as error:
        raise InvalidProviderEvent from error
    known = {id: (status, captured) for id, status, captured in statuses.rows()}
    charges: list[ChargeUpdate] = []
    foreign: list[tuple[VerifiedWebhook, ChargeResult]] = []
    refunds: list[tuple[VerifiedWebhook, RefundResult]] = []
    for webhook in webhooks:
        key = (webhook.provider, webhook.event.id)
        if key not in new:
            continue  # a repetition
        new.remove(key)
        id, result = webhook.object_id, webhook.event.result
        if isinstance(result, RefundResult):
            refunds.append((webhook, result))
        elif isinstance(result, ChargeResult):
            if id is None or id not in known:
                foreign.append((webhook, result))
            elif not _is_known(result, *known[id]):
                charges.append(ChargeUpdate(payment_id=id, result=result, actor=webhook.actor))
    ours = _lock_payments(refunds, charges)
    if charges:
        record_charges(charges)
    for webhook, result in foreign:
        record_foreign_charge(
            actor=webhook.actor, provider=webhook.provider, key=webhook.event.key, result=result
        )
    # Last, for they may be of any of these charges.
    for webhook, refund in refunds:
        id = webhook.object_id
        if id is not None and id in ours:
            record_refund(actor=webhook.actor, refund_id=id, result=refund)
        else:
            record_provider_refund(actor=webhook.actor, provider=webhook.provider, result=refund)


def _is_known(result: ChargeResult, status: str, captured: Decimal) -> bool:
    """Whether the payment with that status and captured amount says the same already."""
    is_same = status == PAYMENT_STATUSES[result.status]
    return is_same and result.captured_amount <= captured


def _lock_payments(
    refunds: Sequence[tuple[VerifiedWebhook, RefundResult]], charges: Sequence[ChargeUpdate]
) -> Collection[UUID]:
    """Lock the payments of charges and of refunds in one order; the ids of our own refunds."""
    ours: Mapping[UUID, UUID] = {}
    if refunds:
        ids = {webhook.object_id for webhook, _ in refunds if webhook.object_id is not None}
        ours = payments_of_refunds(ids)
        others = {
            (webhook.provider, result.charge_reference)
            for webhook, result in refunds
            if webhook.object_id not in ours
        }
        lock_payments(
            {
                *ours.values(),
                *(update.payment_id for update in charges),
                *payments_of_references(others),
            }
        )
    return ours.keys()


def _rows(webhooks: Sequence[VerifiedWebhook], *, at: datetime) -> str:
    rows = [
        {
            "provider": webhook.provider,
            "message_id": webhook.event.id,
            "type": webhook.event.type,
            "body": webhook.body,
            "received_at": at,
        }
        for webhook in webhooks
    ]
    return msgspec.json.encode(rows).decode()
