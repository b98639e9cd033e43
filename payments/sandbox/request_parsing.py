"""Reading requests: JSON bodies into frozen dataclasses, with a 400 for whatever does not fit."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from payments.sandbox.errors import Refusal

_KEY = re.compile(r"[!-~]{1,255}")
_AMOUNT = re.compile(r"[0-9]{1,16}\.[0-9]{2}")
_CURRENCY = re.compile(r"[A-Z]{3}")


@dataclass(frozen=True, kw_only=True)
class Request:
    """One call: `path` without its query, `query` with one value for each name, the raw body."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def idempotency_key(self) -> str:
        """The Idempotency-Key header: 1 to 255 visible ASCII characters."""
        key = self.headers.get("idempotency-key", "")
        if not _KEY.fullmatch(key):
            raise Refusal(
                400, "idempotency_key_required", "Idempotency-Key: 1 to 255 visible characters."
            )
        return key

    def members(self) -> dict[str, Any]:
        """The body, a JSON object; an empty body is an empty object."""
        try:
            members = json.loads(self.body or b"{}", parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            raise Refusal(400, "invalid_json", "The body is not JSON.") from None
        if not isinstance(members, dict):
            raise Refusal(400, "invalid_json", "The body must be a JSON object.")
        return members

    def fingerprint(self) -> str:
        """The same for two calls of one path whose bodies say the same."""
        said = json.dumps([self.path, self.members()], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(said.encode()).hexdigest()


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON.")


def text(members: Mapping[str, Any], name: str, *, required: bool = True) -> str:
    """The string called `name`, of at most 500 characters; "" if missing and not required."""
    value = members.get(name, None if required else "")
    if not isinstance(value, str) or len(value) > 500 or (required and not value):
        raise Refusal(400, f"invalid_{name}", f"{name}: a string of at most 500 characters.")
    if "\x00" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise Refusal(400, f"invalid_{name}", f"{name}: no NUL and no lone surrogates.")
    return value


def hundredths(members: Mapping[str, Any]) -> int:
    """The member "amount", a decimal string such as "12.50" above zero, in hundredths."""
    amount = text(members, "amount")
    if not _AMOUNT.fullmatch(amount) or not int(amount.replace(".", "")):
        raise Refusal(400, "invalid_amount", 'amount: a string such as "12.50", above zero.')
    return int(amount.replace(".", ""))


@dataclass(frozen=True, kw_only=True)
class ChargeRequest:
    """What POST /v1/charges asks for; `amount` is in hundredths of `currency`."""

    amount: int
    currency: str
    token: str
    capture: bool
    reference: str
    metadata: dict[str, Any]

    @classmethod
    def read(cls, members: Mapping[str, Any]) -> ChargeRequest:
        """The request that `members` make; raises Refusal with 400."""
        capture, metadata = members.get("capture", True), members.get("metadata", {})
        if not isinstance(capture, bool):
            raise Refusal(400, "invalid_capture", "capture: true or false.")
        if not isinstance(metadata, dict):
            raise Refusal(400, "invalid_metadata", "metadata: an object.")
        currency = text(members, "currency")
        if not _CURRENCY.fullmatch(currency):
            raise Refusal(400, "invalid_currency", "currency: an ISO 4217 code.")
        return cls(
            amount=hundredths(members),
            currency=currency,
            token=text(members, "token"),
            capture=capture,
            reference=text(members, "reference", required=False),
            metadata=metadata,
        )
