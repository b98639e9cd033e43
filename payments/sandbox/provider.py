"""Writes as the provider processes them: idempotency keys, test tokens, faults."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from payments.sandbox.errors import ApiError
from payments.sandbox.faults import Fault, Faults
from payments.sandbox.ledger import Ledger
from payments.sandbox.objects import Object
from payments.sandbox.requests import ChargeBody, Write
from payments.sandbox.tokens import TOKENS, Behaviour


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The response to a write.

    With `drop_after` there is none: the connection is closed after that many seconds.
    """

    status: int
    body: Object
    is_replayed: bool = False
    drop_after: float | None = None


class Provider:
    """Processes writes on one ledger.

    Slow responses are `slow_seconds` late; a connection whose write gets no response stays open for
    `hold_seconds`.
    """

    def __init__(
        self, *, ledger: Ledger, faults: Faults, slow_seconds: float, hold_seconds: float
    ) -> None:
        self._ledger = ledger
        self._faults = faults
        self._slow_seconds = slow_seconds
        self._hold_seconds = hold_seconds

    async def execute(self, write: Write) -> Outcome:
        """Do `write` once for its key, with the effects of its token and of faults."""
        behaviour = _behaviour(write)
        attempt = 0
        if self._faults.rate or behaviour.fails_first:
            attempt = self._ledger.count_attempt(kind=write.kind, key=write.key)
        fault = self._faults.of(kind=write.kind, key=write.key, attempt=attempt)
        if fault is Fault.ERROR:
            raise ApiError(500, "internal_error", "Something went wrong; nothing was done.")
        drop_after = 0.0 if fault is Fault.ANSWER_LOST else None

        if existing := self._ledger.find(write.kind, write.key, fingerprint=write.fingerprint):
            if fault is Fault.SLOW:
                await asyncio.sleep(self._slow_seconds)
            return Outcome(status=200, body=existing, is_replayed=True, drop_after=drop_after)
        if behaviour.fails_first and attempt == 1:
            raise ApiError(503, "temporarily_unavailable", "Try again; nothing was done.")
        if behaviour.is_slow or fault is Fault.SLOW:
            await asyncio.sleep(self._slow_seconds)
        recorded, is_new = self._ledger.record(
            write, duplicate_webhooks=fault is Fault.WEBHOOK_DOUBLED
        )
        if is_new and not behaviour.is_answered:
            drop_after = self._hold_seconds
        return Outcome(status=201 if is_new else 200, body=recorded, drop_after=drop_after)


def _behaviour(write: Write) -> Behaviour:
    if not isinstance(write.body, ChargeBody):
        return Behaviour()
    if write.body.token not in TOKENS:
        raise ApiError(400, "unknown_token", "There is no such token.")
    return TOKENS[write.body.token]
