"""What providers tell of their own accord, by webhook."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import msgspec
from django.db import DataError, connection

from oms.core.actor import Actor, system
from oms.db.transactions import transaction
from payments.gateways.base import ChargeResult, InvalidProviderEvent, ProviderEvent, RefundResult
from payments.gateways.registry import gateway_for
from payments.locks import lock_payments
from payments.models import Payment
from payments.operations.outcomes import (
    PAYMENT_STATUSES,
    ChargeUpdate,
    record_charges,
    record_refund,
)
from payments.queries import payments_of_refunds

# Waits where the same message is being taken by another transaction. A message that stands twice in
# the batch is one row, too. Sorted, so that two batches with the same messages do not wait for each
# other in a circle.
_KEEP = """
    INSERT INTO payments_providermessage (provider, message_id, type, body, received_at)
    SELECT provider, message_id, type, body::jsonb, received_at
    FROM json_to_recordset(%s::json)
        AS new (provider text, message_id text, type text, body text, received_at timestamptz)
    ORDER BY provider, message_id
    ON CONFLICT (provider, message_id) DO NOTHING
    RETURNING provider, message_id
"""


@dataclass(frozen=True, kw_only=True)
class Webhook:
    """A webhook whose signature was verified, and what it says."""

    provider: str
    news: ProviderEvent
    body: bytes

    @property
    def actor(self) -> Actor:
        """Who tells it."""
        return system(self.provider, request_id=self.news.id)


def read_webhook(
    *, provider: str, headers: Mapping[str, str], body: bytes, now: datetime
) -> Webhook:
    """The webhook with these headers and this raw body; asks no database.

    Raises UnknownProvider, InvalidSignature and InvalidProviderEvent.
    """
    news = gateway_for(provider).parse_event(headers=headers, body=body, now=now)
    return Webhook(provider=provider, news=news, body=body)


def receive_webhook(
    *, provider: str, headers: Mapping[str, str], body: bytes, now: datetime
) -> bool:
    """Verify a webhook and let it take effect once; returns whether it was news.

    Raises UnknownProvider, InvalidSignature and InvalidProviderEvent.
    """
    webhook = read_webhook(provider=provider, headers=headers, body=body, now=now)
    try:
        return bool(apply_webhooks(webhooks=[webhook], now=now))
    except (DataError, UnicodeEncodeError) as error:  # text that PostgreSQL cannot hold
        raise InvalidProviderEvent from error


@transaction
def apply_webhooks(*, webhooks: Sequence[Webhook], now: datetime) -> int:
    """Let webhooks take effect, each once; returns how many were news.

    The number of statements does not depend on how many they are, but for those of refunds. Raises
    DataError or UnicodeEncodeError, with nothing done, if one of them cannot be stored.
    """
    fresh = _kept(webhooks, now=now)
    charges = _without_known(_charges(fresh))
    refunds = _refunds(fresh)
    if refunds:
        # Here, for those of charges and of refunds must be locked in one order.
        of_refunds = payments_of_refunds({refund_id for _, refund_id, _ in refunds})
        lock_payments({*of_refunds, *(one.payment_id for one in charges)})
    changed = sum(record_charges(wave) for wave in _waves(charges))
    for actor, refund_id, result in refunds:
        changed += record_refund(actor=actor, refund_id=refund_id, result=result)
    return changed


def _kept(webhooks: Sequence[Webhook], *, now: datetime) -> list[Webhook]:
    """Keep the webhooks; those that had not come before, the first of each."""
    rows = [
        {
            "provider": webhook.provider,
            "message_id": webhook.news.id,
            "type": webhook.news.type,
            # Parsed and written anew, for signed bytes may be in another encoding.
            "body": json.dumps(json.loads(webhook.body)),
            "received_at": now,
        }
        for webhook in webhooks
    ]
    with connection.cursor() as cursor:
        cursor.execute(_KEEP, [msgspec.json.encode(rows).decode()])
        new = set(cursor.fetchall())
    fresh = []
    for webhook in webhooks:
        if (key := (webhook.provider, webhook.news.id)) in new:
            new.remove(key)
            fresh.append(webhook)
    return fresh


def _charges(webhooks: Iterable[Webhook]) -> list[ChargeUpdate]:
    return [
        ChargeUpdate(payment_id=payment_id, result=webhook.news.result, actor=webhook.actor)
        for webhook, payment_id in _with_ids(webhooks)
        if isinstance(webhook.news.result, ChargeResult)
    ]


def _without_known(updates: Sequence[ChargeUpdate]) -> list[ChargeUpdate]:
    """The updates without those of payments that have that status already.

    Needs no lock, since no status leads back; most webhooks report what the response to our own
    call has reported before.
    """
    if not updates:
        return []
    rows = Payment.objects.filter(pk__in={update.payment_id for update in updates})
    statuses = dict(rows.values_list("pk", "status"))
    return [
        update
        for update in updates
        if statuses.get(update.payment_id) != PAYMENT_STATUSES[update.result.status]
    ]


def _refunds(webhooks: Iterable[Webhook]) -> list[tuple[Actor, UUID, RefundResult]]:
    return [
        (webhook.actor, refund_id, webhook.news.result)
        for webhook, refund_id in _with_ids(webhooks)
        if isinstance(webhook.news.result, RefundResult)
    ]


def _with_ids(webhooks: Iterable[Webhook]) -> Iterator[tuple[Webhook, UUID]]:
    """Those of the webhooks that are about something of ours, with its id.

    The others are about what the provider does for others with the same account.
    """
    for webhook in webhooks:
        try:
            yield webhook, UUID(webhook.news.key)
        except ValueError:
            continue


def _waves(news: Iterable[ChargeUpdate]) -> Iterator[list[ChargeUpdate]]:
    """The news in its order, with that of one payment in different lists."""
    waiting = list(news)
    while waiting:
        wave: dict[UUID, ChargeUpdate] = {}
        later = []
        for one in waiting:
            if one.payment_id in wave:
                later.append(one)
            else:
                wave[one.payment_id] = one
        yield list(wave.values())
        waiting = later
