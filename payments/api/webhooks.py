"""The handler of webhooks of payment providers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from oms.api.handlers import ApiAnswer, ApiCall, Handler
from oms.core import clock
from oms.core.errors import NotFound
from payments.gateways.registry import UnknownProvider
from payments.operations.webhooks import VerifiedWebhook, apply_webhooks, verify_webhook


class ReceiveWebhooks(Handler):
    """Applies many webhooks in one transaction."""

    is_write = True
    # The first is applied at once, and those of the next fifth of a second together. Providers wait
    # for many seconds, and most webhooks repeat what the response to our call has reported already.
    pause = 0.2

    def answers(self, calls: Sequence[ApiCall]) -> list[ApiAnswer]:
        apply_webhooks([call.data for call in calls], pipeline=self.pipeline)
        return [ApiAnswer(status=204) for _ in calls]


def parse_webhook(*, provider: str, headers: Mapping[str, str], body: bytes) -> VerifiedWebhook:
    """The webhook with this body. Raises NotFound, InvalidSignature and InvalidProviderEvent."""
    try:
        return verify_webhook(provider=provider, headers=headers, body=body, now=clock.now())
    except UnknownProvider as error:
        raise NotFound from error
