"""The interface of payment providers, and their results.

Every call carries an idempotency key that we choose. The same key may be sent again at any time:
the provider acts once and returns the outcome. A call without a clear response has an unknown
outcome, which is resolved by a look-up or by the same key again, never by a new key.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class ChargeResult:
    """The current state of a charge at the provider.

    `provider_reference` is the provider's own id. `decline_code` and `decline_message` are
    empty unless it was declined, which is final for its key. `reference` is the order's id as it
    was given with the charge; others with the same account may give anything or nothing.
    """

    status: ChargeStatus
    provider_reference: str
    amount: Decimal
    currency: str
    captured_amount: Decimal
    refunded_amount: Decimal
    decline_code: str = ""
    decline_message: str = ""
    reference: str = ""


@dataclass(frozen=True, kw_only=True)
class RefundResult:
    """The current state of a refund; failure is final for its key, and no money was moved.

    `key` is its idempotency key, `charge_reference` the provider's own id of the charge. Without a
    `currency` it is in that of the charge. A dispute is a refund that is pending until it is
    decided: lost by the shop, it has succeeded; won, it has failed.
    """

    status: RefundStatus
    provider_reference: str
    charge_reference: str
    amount: Decimal
    currency: str = ""
    key: str = ""
    reason: str = ""
    is_dispute: bool = False


@dataclass(frozen=True, kw_only=True)
class ProviderEvent:
    """A webhook with a verified signature.

    It may arrive late, twice (with the same `id`), before the response to the call that caused it,
    and in any order. `key` is the idempotency key of the charge or refund, which may be
    unknown to us; a dispute has none. `result` is None for events without an outcome, such as that
    a charge is pending.
    """

    id: str
    type: str
    occurred_at: datetime
    key: str
    result: ChargeResult | RefundResult | None


@dataclass(frozen=True, kw_only=True)
class LedgerEntry:
    """One charge in the provider's ledger, and its idempotency key."""

    key: str
    charge: ChargeResult


class GatewayError(Exception):
    """The provider did not carry out the call, or it is not known whether it did."""


class GatewayUnknownOutcome(GatewayError):
    """No clear response: a timeout, a broken or refused connection, a 5xx, or unreadable content.

    The call may have taken effect. Look it up, or send the same key again; it has not "failed".
    """


class GatewayRejected(GatewayError):
    """The provider rejected the request, which is final, and did nothing.

    `code` is the provider's, such as "unknown_token" or "refund_exceeds_captured".
    """

    def __init__(self, *, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class GatewayMisconfigured(GatewayError):
    """Our settings are wrong: rejected credentials, a wrong URL, or no such provider.

    Nothing was done; the same key can be sent again once the settings are right.
    """


class InvalidProviderEvent(Invalid):
    """The webhook's signature is valid, but its content is not."""

    code = "unreadable_news"


class Gateway(Protocol):
    """A payment provider. Keys are up to 255 visible ASCII characters, such as a payment's id.

    Keys of charges, captures, voids and refunds are separate. Each method but
    `parse_event` is a network call and refuses to run inside a transaction; it raises
    GatewayUnknownOutcome, GatewayRejected or GatewayMisconfigured, and DeadlineExceeded if the
    deadline had passed before anything was sent.

    Amounts are in ISO 4217's decimals of their currency. Each gateway sends and reads them by its
    provider's own rule, which may differ; ValueError for one that the rule cannot express.
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
        """Charge `amount` to `token`; without `capture` only authorize it.

        `reference` is the order's id. A decline is a result, not an error.
        """

    def capture(
        self, *, key: str, provider_reference: str, amount: Decimal, currency: str
    ) -> ChargeResult:
        """Capture `amount` of an authorized charge; the rest is released."""

    def void(self, *, key: str, provider_reference: str) -> ChargeResult:
        """Release an authorized charge that was not captured."""

    def refund(
        self,
        *,
        key: str,
        provider_reference: str,
        amount: Decimal,
        currency: str,
        reason: str,
    ) -> RefundResult:
        """Refund `amount` of a captured charge. Failure is a result, not an error."""

    def look_up(self, *, key: str) -> ChargeResult | None:
        """The charge with that key; None if the provider has none yet.

        A charge that is still in transit may arrive later.
        """

    def look_up_refund(self, *, key: str) -> RefundResult | None:
        """The refund with that key; None if the provider has none yet."""

    def refunds_of(self, *, provider_reference: str) -> Sequence[RefundResult]:
        """Every refund and dispute of the charge, also those that others made, oldest first."""

    def ledger(self) -> Iterator[LedgerEntry]:
        """Every charge of the provider, oldest first, for reconciliation."""

    def parse_event(
        self, *, headers: Mapping[str, str], body: bytes, now: datetime
    ) -> ProviderEvent:
        """The event in the webhook with these headers (names in any case) and this raw body.

        Raises InvalidSignature if it is not from the provider or too old, and InvalidProviderEvent.
        """
