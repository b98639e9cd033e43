"""Validated requests: the JSON bodies of writes, and the writes themselves."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

import msgspec

from payments.sandbox.errors import ApiError

T = TypeVar("T")

_KEY = re.compile(r"[!-~]{1,255}")
# The member that a message of msgspec is about.
_MEMBER = re.compile(r"`\$\.(\w+)|required field `(\w+)`")

_Text = Annotated[str, msgspec.Meta(max_length=500, pattern=r"\A[^\x00]*\Z")]
_RequiredText = Annotated[str, msgspec.Meta(min_length=1, max_length=500, pattern=r"\A[^\x00]*\Z")]
# In minor units of the currency by ISO 4217; SQLite's integers have 64 bits.
_Amount = Annotated[int, msgspec.Meta(gt=0, lt=10**18)]

Kind: TypeAlias = Literal["charge", "capture", "void", "refund"]


class ChargeBody(msgspec.Struct, frozen=True):
    """The body of POST /v1/charges."""

    amount: _Amount
    currency: Annotated[str, msgspec.Meta(pattern=r"\A[A-Z]{3}\Z")]
    token: _RequiredText
    capture: bool = True
    reference: _Text = ""
    metadata: dict[str, Any] = {}


class CaptureBody(msgspec.Struct, frozen=True):
    """The body of POST /v1/charges/{id}/capture; all that was authorized by default."""

    amount: _Amount | None = None


class VoidBody(msgspec.Struct, frozen=True):
    """The body of POST /v1/charges/{id}/void, which has no members."""


class RefundBody(msgspec.Struct, frozen=True):
    """The body of POST /v1/refunds."""

    charge_id: _RequiredText
    amount: _Amount
    reason: _Text = ""


class DisputeBody(msgspec.Struct, frozen=True):
    """The body of POST /v1/charges/{id}/disputes; all that was not refunded by default."""

    amount: _Amount | None = None
    reason: _Text = ""


class DecisionBody(msgspec.Struct, frozen=True):
    """The body of POST /v1/disputes/{id}/close; the outcome is that for the shop."""

    outcome: Literal["won", "lost"]


class OverwriteBody(msgspec.Struct, frozen=True):
    """The body of POST /v1/charges/{id}/overwrite; in the charge's currency by default."""

    captured_amount: _Amount
    currency: Annotated[str, msgspec.Meta(pattern=r"\A[A-Z]{3}\Z")] | None = None


Body: TypeAlias = ChargeBody | CaptureBody | VoidBody | RefundBody

_BODIES: dict[Kind, type[Body]] = {
    "charge": ChargeBody,
    "capture": CaptureBody,
    "void": VoidBody,
    "refund": RefundBody,
}


@dataclass(frozen=True, kw_only=True)
class Write:
    """A write that a client requests. `key` is its idempotency key among the writes of its kind.

    `fingerprint` is the same for requests with the same path and content. `charge_id` is the charge
    that is captured or voided.
    """

    kind: Kind
    key: str
    fingerprint: str
    body: Body
    charge_id: str = ""


def parse_body(body: bytes, body_type: type[T]) -> T:
    """The JSON body; raises ApiError with 400."""
    try:
        return msgspec.json.decode(body or b"{}", type=body_type)
    except (msgspec.DecodeError, RecursionError) as error:
        member = _MEMBER.search(str(error))
        code = f"invalid_{member[1] or member[2]}" if member else "invalid_json"
        raise ApiError(400, code, str(error)) from error


def parse_write(*, kind: Kind, key: str, body: bytes, charge_id: str = "") -> Write:
    """The write with that Idempotency-Key and JSON body; raises ApiError with 400."""
    if not _KEY.fullmatch(key):
        raise ApiError(
            400, "idempotency_key_required", "Idempotency-Key: 1 to 255 visible characters."
        )
    parsed: Body = parse_body(body, _BODIES[kind])
    content = msgspec.json.encode([kind, charge_id, parsed], order="sorted")
    return Write(
        kind=kind,
        key=key,
        fingerprint=hashlib.sha256(content).hexdigest(),
        body=parsed,
        charge_id=charge_id,
    )
