"""What providers tell of their own accord, by webhook."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from django.db import DataError, connection

from oms.core.actor import system
from oms.core.db import transaction
from payments.gateways.base import ChargeResult, ProviderNews, UnreadableNews
from payments.gateways.registry import gateway_for
from payments.operations.outcomes import record_charge, record_refund

# Waits where the same message is being taken by another transaction.
_KEEP = """
    INSERT INTO payments_providermessage (provider, message_id, type, body, received_at)
    VALUES (%s, %s, %s, %s::jsonb, %s)
    ON CONFLICT (provider, message_id) DO NOTHING
"""


def hear_provider(*, provider: str, headers: Mapping[str, str], body: bytes, now: datetime) -> bool:
    """Verify a webhook and let it take effect once; returns whether it was news.

    Raises UnknownProvider, InvalidSignature and UnreadableNews.
    """
    news = gateway_for(provider).parse_news(headers=headers, body=body, now=now)
    return _take(news, provider=provider, body=body, now=now)


@transaction
def _take(news: ProviderNews, *, provider: str, body: bytes, now: datetime) -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute(_KEEP, [provider, news.id, news.type, json.dumps(json.loads(body)), now])
            is_new = cursor.rowcount == 1
    except DataError as error:  # JSON that no jsonb can hold, or an id without end
        raise UnreadableNews from error
    if not is_new or news.result is None:
        return False
    try:
        id = UUID(news.key)
    except ValueError:
        return False  # not one of ours: the provider serves others with the same account
    actor = system(provider, request_id=news.id)
    if isinstance(news.result, ChargeResult):
        return record_charge(actor=actor, payment_id=id, result=news.result)
    return record_refund(actor=actor, refund_id=id, result=news.result)
