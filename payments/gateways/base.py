"""What the product asks of a payment provider, and what a provider answers.

Every call carries an idempotency key of ours. The same key may be sent again at any time: the
provider does the thing once and answers what became of it. A call that ends without a clear
answer has an unknown outcome, and is cleared up by a look-up or by the same key again, never by a
new key.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from oms.core.errors import Invalid


class ChargeStatus(StrEnum):
    CAPTURED = "captured"
    AUTHORIZED = "authorized"
    DECLINED = "declined"
    VOIDED = "voided"


class RefundStatus(StrEnum):
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class ChargeResult:
    """What a charge is at the provider now.

    `provider_reference` is the provider's own id of it. `decline_code` and `decline_message` are
    empty unless it was declined, which is final for its key.
    """

    status: ChargeStatus
    provider_reference: str
    amount: Decimal
    currency: str
    captured_amount: Decimal
    refunded_amount: Decimal
    decline_code: str = ""
    decline_message: str = ""


@dataclass(frozen=True, kw_only=True)
class RefundResult:
    """What a refund is at the provider now; a failed one moved no money, for good for its key."""

    status: RefundStatus
    provider_reference: str
    charge_reference: str
    amount: Decimal


@dataclass(frozen=True, kw_only=True)
class ProviderEvent:
    """What a provider tells us of its own accord, with its signature already verified.

    News may come late, twice (with the same `id`), before the answer to the call that caused it,
    and in any order. `key` is the idempotency key of the charge or refund, which need not be one
    of ours. `result` is None for news that reports no outcome, such as that a charge is pending.
    """

    id: str
    type: str
    occurred_at: datetime
    key: str
    result: ChargeResult | RefundResult | None


@dataclass(frozen=True, kw_only=True)
class LedgerEntry:
    """One charge in the provider's books, and the idempotency key it was made under."""

    key: str
    charge: ChargeResult


class GatewayError(Exception):
    """The provider did not do what it was asked, or it is not known whether it did."""


class GatewayUnknownOutcome(GatewayError):
    """No clear answer: a timeout, a broken or refused connection, a 5xx, or an unreadable answer.

    It may or may not have happened. Look it up, or send the same key again; it has never "failed".
    """


class GatewayRejected(GatewayError):
    """The provider refused the request itself, for good, and did nothing.

    `code` is the provider's, such as "unknown_token" or "refund_exceeds_captured".
    """

    def __init__(self, *, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class GatewayMisconfigured(GatewayError):
    """Our side is set up wrongly: credentials that the provider refuses, or no such provider.

    Nothing was done; the same key can be sent again once the settings are right.
    """


class InvalidProviderEvent(Invalid):
    """The webhook is signed by the provider, but its content is not understood."""

    code = "unreadable_news"


class Gateway(Protocol):
    """A payment provider. Keys are at most 255 visible ASCII characters; a payment's id is one.

    Keys of charges, captures, voids and refunds are counted apart from each other. Each method but
    `parse_event` is a network call and refuses to run inside a transaction; it raises
    GatewayUnknownOutcome, GatewayRejected or GatewayMisconfigured, and DeadlineExceeded if the
    deadline had passed before anything was sent.
    """

    def charge(
        self,
        *,
        key: str,
        amount: Decimal,
        currency: str,
        token: str,
        capture: bool,
        reference: str,
    ) -> ChargeResult:
        """Take `amount` from the owner of `token`; without `capture` only set it aside.

        `reference` is what the money is for, the order's id. A decline is a result, not an error.
        """

    def capture(self, *, key: str, provider_reference: str, amount: Decimal) -> ChargeResult:
        """Take `amount` of what was set aside; the rest of it is let go."""

    def void(self, *, key: str, provider_reference: str) -> ChargeResult:
        """Let go of what was set aside and not captured."""

    def refund(
        self, *, key: str, provider_reference: str, amount: Decimal, reason: str
    ) -> RefundResult:
        """Give back `amount` of what was captured. That it failed is a result, not an error."""

    def look_up(self, *, key: str) -> ChargeResult | None:
        """The charge made under `key`; None if the provider knows of none.

        None is true of this moment: a charge that is still on its way may arrive later.
        """

    def look_up_refund(self, *, key: str) -> RefundResult | None:
        """The refund made under `key`; None if the provider knows of none."""

    def ledger(self) -> Iterator[LedgerEntry]:
        """Every charge in the provider's books, the oldest first, for reconciling."""

    def parse_event(
        self, *, headers: Mapping[str, str], body: bytes, now: datetime
    ) -> ProviderEvent:
        """What the webhook with these headers (names in any case) and this raw body says.

        Raises InvalidSignature for one that is not from the provider or is too old, and
        InvalidProviderEvent.
        """
