"""The gateway to the sandbox provider (payments/sandbox)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, TypeVar

import msgspec
from django.conf import settings

from oms.core.currencies import CURRENCIES
from oms.core.money import from_minor_units, to_minor_units
from oms.db.transactions import durable
from payments.gateways.base import (
    ChargeResult,
    ChargeStatus,
    Gateway,
    InvalidProviderEvent,
    LedgerEntry,
    ProviderEvent,
    RefundResult,
    RefundStatus,
)
from payments.gateways.http import call
from payments.signatures import verify

Response = TypeVar("Response")
Item = TypeVar("Item")

# As long as payments.models stores it.
_Reference = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
_Key = Annotated[str, msgspec.Meta(max_length=255)]
# In minor units of the currency by ISO 4217.
_Amount = Annotated[int, msgspec.Meta(ge=0, lt=10**18)]
_Currency = Annotated[str, msgspec.Meta(pattern=rf"\A({'|'.join(sorted(CURRENCIES))})\Z")]


class _Charge(msgspec.Struct, frozen=True):
    id: _Reference
    idempotency_key: _Key
    status: ChargeStatus
    amount: _Amount
    currency: _Currency
    captured_amount: _Amount
    refunded_amount: _Amount
    decline_code: str | None
    decline_message: str | None
    reference: str = ""

    def result(self) -> ChargeResult:
        return ChargeResult(
            status=self.status,
            provider_reference=self.id,
            amount=from_minor_units(self.amount, self.currency),
            currency=self.currency,
            captured_amount=from_minor_units(self.captured_amount, self.currency),
            refunded_amount=from_minor_units(self.refunded_amount, self.currency),
            decline_code=self.decline_code or "",
            decline_message=self.decline_message or "",
            reference=self.reference,
        )


class _Refund(msgspec.Struct, frozen=True):
    id: _Reference
    status: RefundStatus
    charge_id: str
    amount: _Amount
    currency: _Currency
    idempotency_key: _Key = ""
    reason: str = ""

    def result(self) -> RefundResult:
        return RefundResult(
            status=self.status,
            provider_reference=self.id,
            charge_reference=self.charge_id,
            amount=from_minor_units(self.amount, self.currency),
            currency=self.currency,
            key=self.idempotency_key,
            reason=self.reason,
        )


_DISPUTE_STATUSES = {
    "open": RefundStatus.PENDING,
    "won": RefundStatus.FAILED,
    "lost": RefundStatus.SUCCEEDED,
}


class _Dispute(msgspec.Struct, frozen=True):
    id: _Reference
    status: Literal["open", "won", "lost"]
    charge_id: str
    amount: _Amount
    currency: _Currency
    reason: str

    def result(self) -> RefundResult:
        return RefundResult(
            status=_DISPUTE_STATUSES[self.status],
            provider_reference=self.id,
            charge_reference=self.charge_id,
            amount=from_minor_units(self.amount, self.currency),
            currency=self.currency,
            reason=self.reason,
            is_dispute=True,
        )


class _Page(msgspec.Struct, Generic[Item], frozen=True):
    data: list[Item]
    next: int | None = None


class _WebhookData(msgspec.Struct, frozen=True):
    status: str
    idempotency_key: _Key = ""


class _Webhook(msgspec.Struct, frozen=True):
    type: str
    created_at: datetime
    data: msgspec.Raw


_RESULTS: dict[str, type[_Charge] | type[_Refund] | type[_Dispute]] = {
    "charge": _Charge,
    "refund": _Refund,
    "dispute": _Dispute,
}


class SandboxGateway(Gateway):
    """The sandbox provider at SANDBOX_PROVIDER_URL, called with SANDBOX_API_KEY."""

    # Charges in one page of the ledger.
    page_size = 500

    @durable
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
        body = {
            "amount": to_minor_units(amount, currency),
            "currency": currency,
            "token": token,
            "capture": capture,
            "reference": reference,
        }
        return _call("POST", "/v1/charges", _Charge, key=key, body=body).result()

    @durable
    def capture(
        self, *, key: str, provider_reference: str, amount: Decimal, currency: str
    ) -> ChargeResult:
        path = f"/v1/charges/{provider_reference}/capture"
        body = {"amount": to_minor_units(amount, currency)}
        return _call("POST", path, _Charge, key=key, body=body).result()

    @durable
    def void(self, *, key: str, provider_reference: str) -> ChargeResult:
        path = f"/v1/charges/{provider_reference}/void"
        return _call("POST", path, _Charge, key=key, body={}).result()

    @durable
    def refund(
        self,
        *,
        key: str,
        provider_reference: str,
        amount: Decimal,
        currency: str,
        reason: str,
    ) -> RefundResult:
        body = {
            "charge_id": provider_reference,
            "amount": to_minor_units(amount, currency),
            "reason": reason,
        }
        return _call("POST", "/v1/refunds", _Refund, key=key, body=body).result()

    @durable
    def look_up(self, *, key: str) -> ChargeResult | None:
        charges = _call("GET", "/v1/charges", _Page[_Charge], query={"idempotency_key": key}).data
        return charges[0].result() if charges else None

    @durable
    def look_up_refund(self, *, key: str) -> RefundResult | None:
        refunds = _call("GET", "/v1/refunds", _Page[_Refund], query={"idempotency_key": key}).data
        return refunds[0].result() if refunds else None

    @durable
    def refunds_of(self, *, provider_reference: str) -> Sequence[RefundResult]:
        query = {"charge_id": provider_reference}
        refunds = _call("GET", "/v1/refunds", _Page[_Refund], query=query).data
        disputes = _call("GET", "/v1/disputes", _Page[_Dispute], query=query).data
        return [refund.result() for refund in refunds] + [each.result() for each in disputes]

    def ledger(self) -> Iterator[LedgerEntry]:
        after: int | None = 0
        while after is not None:
            page = self._ledger_page(after)
            for charge in page.data:
                yield LedgerEntry(key=charge.idempotency_key, charge=charge.result())
            after = page.next

    @durable
    def _ledger_page(self, after: int) -> _Page[_Charge]:
        query = {"after": str(after), "limit": str(self.page_size)}
        return _call("GET", "/v1/ledger", _Page[_Charge], query=query)

    def parse_event(
        self, *, headers: Mapping[str, str], body: bytes, now: datetime
    ) -> ProviderEvent:
        id = verify(secret=settings.SANDBOX_WEBHOOK_SECRET, headers=headers, body=body, now=now)
        try:
            webhook = msgspec.json.decode(body, type=_Webhook)
            data = msgspec.json.decode(webhook.data, type=_WebhookData)
            result_type = _RESULTS.get(webhook.type.split(".")[0])
            result = None
            if result_type is not None and data.status != "pending":
                result = msgspec.json.decode(webhook.data, type=result_type).result()
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidProviderEvent from error
        return ProviderEvent(
            id=id,
            type=webhook.type,
            occurred_at=webhook.created_at,
            key=data.idempotency_key,
            result=result,
        )


def _call(
    method: str, path: str, response_type: type[Response], *, key: str = "", **content: Any
) -> Response:
    headers = {"Authorization": f"Bearer {settings.SANDBOX_API_KEY}"}
    if key:
        headers["Idempotency-Key"] = key
    url = settings.SANDBOX_PROVIDER_URL + path
    return call(response_type, method=method, url=url, headers=headers, **content)
