"""Signatures of webhooks as in the Standard Webhooks specification 1.0.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
docs/decisions/0016-webhook-signatures.md explains why its library is not used.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import datetime, timedelta

from oms.core.errors import NotAuthenticated

TOLERANCE = timedelta(minutes=5)

_PREFIX = "whsec_"
_TIMESTAMP = re.compile(r"[0-9]{1,12}")


class InvalidSignature(NotAuthenticated):
    """The webhook's signature is missing, wrong or too old."""

    code = "invalid_signature"


def sign(*, secret: str, id: str, timestamp: int, body: bytes) -> str:
    """The signature "v1,<base64>" over id, timestamp (seconds since 1970) and body."""
    content = b".".join([id.encode("utf-8", "replace"), str(timestamp).encode(), body])
    digest = hmac.new(_key(secret), content, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def verify(*, secret: str, headers: Mapping[str, str], body: bytes, now: datetime) -> str:
    """The `webhook-id` of a webhook that was signed with `secret` within five minutes of `now`.

    `headers` have names in any case; `body` is the raw body. The signature header may contain
    several signatures, as during a rotation of secrets; one that matches is enough. Raises
    InvalidSignature.
    """
    lowered = {name.lower(): value for name, value in headers.items()}
    id, timestamp = lowered.get("webhook-id", ""), lowered.get("webhook-timestamp", "")
    if not id or not _TIMESTAMP.fullmatch(timestamp):
        raise InvalidSignature
    if abs(now.timestamp() - int(timestamp)) > TOLERANCE.total_seconds():
        raise InvalidSignature("The webhook's timestamp is too far from the present.")
    expected = sign(secret=secret, id=id, timestamp=int(timestamp), body=body).encode()
    # All are compared, so that the time taken does not reveal which one matched.
    matches = [
        hmac.compare_digest(expected, signature.encode("utf-8", "replace"))
        for signature in lowered.get("webhook-signature", "").split(" ")
    ]
    if not any(matches):
        raise InvalidSignature
    return id


def _key(secret: str) -> bytes:
    """The bytes of `secret`: base64 after "whsec_", as the specification has it, else as it is."""
    if not secret.startswith(_PREFIX):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError("A webhook secret with the prefix whsec_ must be base64.") from error
