"""The gateway to the sandbox provider (see payments/sandbox)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.conf import settings

from oms.core.money import rounded
from oms.db.transactions import durable
from payments.gateways.base import (
    ChargeResult,
    ChargeStatus,
    Gateway,
    GatewayUnknownOutcome,
    InvalidProviderEvent,
    LedgerEntry,
    ProviderEvent,
    RefundResult,
    RefundStatus,
)
from payments.gateways.http import call
from payments.signatures import verify

_PAGE = "500"
# More is not kept of it (payments.models).
_LONGEST_REFERENCE = 100

# What reading an answer of an unexpected shape raises: decimal.InvalidOperation is an
# ArithmeticError, and JSON that is nested too deeply a RecursionError.
_UNEXPECTED = (KeyError, TypeError, ValueError, ArithmeticError, RecursionError)


class SandboxGateway(Gateway):
    """The sandbox provider at SANDBOX_PROVIDER_URL, reached with SANDBOX_API_KEY."""

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
            "amount": _text(amount),
            "currency": currency,
            "token": token,
            "capture": capture,
            "reference": reference,
        }
        return _charge(_post("/v1/charges", key=key, body=body))

    @durable
    def capture(self, *, key: str, provider_reference: str, amount: Decimal) -> ChargeResult:
        path = f"/v1/charges/{provider_reference}/capture"
        return _charge(_post(path, key=key, body={"amount": _text(amount)}))

    @durable
    def void(self, *, key: str, provider_reference: str) -> ChargeResult:
        return _charge(_post(f"/v1/charges/{provider_reference}/void", key=key, body={}))

    @durable
    def refund(
        self, *, key: str, provider_reference: str, amount: Decimal, reason: str
    ) -> RefundResult:
        body = {"charge_id": provider_reference, "amount": _text(amount), "reason": reason}
        return _refund(_post("/v1/refunds", key=key, body=body))

    @durable
    def look_up(self, *, key: str) -> ChargeResult | None:
        found = _found("/v1/charges", key=key)
        return None if found is None else _charge(found)

    @durable
    def look_up_refund(self, *, key: str) -> RefundResult | None:
        found = _found("/v1/refunds", key=key)
        return None if found is None else _refund(found)

    def ledger(self) -> Iterator[LedgerEntry]:
        after: str | None = "0"
        while after is not None:
            entries, after = _ledger_page(after)
            yield from entries

    def parse_event(
        self, *, headers: Mapping[str, str], body: bytes, now: datetime
    ) -> ProviderEvent:
        id = verify(secret=settings.SANDBOX_WEBHOOK_SECRET, headers=headers, body=body, now=now)
        try:
            said = json.loads(body)
            type, data = str(said["type"]), said["data"]
            return ProviderEvent(
                id=id,
                type=type,
                occurred_at=datetime.fromisoformat(said["created_at"]),
                key=str(data["idempotency_key"]),
                result=_result(type, data),
            )
        except _UNEXPECTED as error:
            raise InvalidProviderEvent from error


def _result(type: str, data: dict[str, Any]) -> ChargeResult | RefundResult | None:
    if data["status"] == "pending":
        return None
    match type.split(".")[0]:
        case "charge":
            return _charge_result(data)
        case "refund":
            return _refund_result(data)
        case _:
            return None


def _text(amount: Decimal) -> str:
    if amount != rounded(amount):
        raise ValueError(f"{amount} is not in whole hundredths.")
    return f"{amount:.2f}"


def _authorization() -> dict[str, str]:
    return {"Authorization": f"Bearer {settings.SANDBOX_API_KEY}"}


def _post(path: str, *, key: str, body: Mapping[str, Any]) -> dict[str, Any]:
    return call(
        method="POST",
        url=settings.SANDBOX_PROVIDER_URL + path,
        headers={**_authorization(), "Idempotency-Key": key},
        body=body,
    )


def _get(path: str, *, query: Mapping[str, str]) -> dict[str, Any]:
    return call(
        method="GET",
        url=settings.SANDBOX_PROVIDER_URL + path,
        headers=_authorization(),
        query=query,
    )


def _found(path: str, *, key: str) -> Any:
    """What was made under `key`, or None; at most one thing is, by the provider's promise."""
    answer = _get(path, query={"idempotency_key": key})
    try:
        return answer["data"][0] if answer["data"] else None
    except _UNEXPECTED as error:
        raise GatewayUnknownOutcome("The provider's list is not understood.") from error


@durable
def _ledger_page(after: str) -> tuple[list[LedgerEntry], str | None]:
    page = _get("/v1/ledger", query={"after": after, "limit": _PAGE})
    try:
        entries = [
            LedgerEntry(key=str(charge["idempotency_key"]), charge=_charge_result(charge))
            for charge in page["data"]
        ]
        return entries, None if page["next"] is None else str(page["next"])
    except _UNEXPECTED as error:
        raise GatewayUnknownOutcome("The provider's ledger is not understood.") from error


def _charge(answer: dict[str, Any]) -> ChargeResult:
    try:
        return _charge_result(answer)
    except _UNEXPECTED as error:
        raise GatewayUnknownOutcome("The provider's charge is not understood.") from error


def _refund(answer: dict[str, Any]) -> RefundResult:
    try:
        return _refund_result(answer)
    except _UNEXPECTED as error:
        raise GatewayUnknownOutcome("The provider's refund is not understood.") from error


def _charge_result(charge: dict[str, Any]) -> ChargeResult:
    return ChargeResult(
        status=ChargeStatus(charge["status"]),
        provider_reference=_reference(charge["id"]),
        amount=_amount(charge["amount"]),
        currency=charge["currency"],
        captured_amount=_amount(charge["captured_amount"]),
        refunded_amount=_amount(charge["refunded_amount"]),
        decline_code=charge["decline_code"] or "",
        decline_message=charge["decline_message"] or "",
    )


def _refund_result(refund: dict[str, Any]) -> RefundResult:
    return RefundResult(
        status=RefundStatus(refund["status"]),
        provider_reference=_reference(refund["id"]),
        charge_reference=refund["charge_id"],
        amount=_amount(refund["amount"]),
    )


def _reference(id: str) -> str:
    if not 0 < len(id) <= _LONGEST_REFERENCE:
        raise ValueError(f"An id of {len(id)} characters.")
    return id


def _amount(said: str) -> Decimal:
    amount = Decimal(said)
    if not amount.is_finite() or amount < 0:
        raise ValueError(f"{said} is no amount of money.")
    return amount
