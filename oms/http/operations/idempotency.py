"""Calls with an Idempotency-Key: one effect, and the same answer however often they are repeated.

The key of a call is locked for as long as the call's transaction runs, and its answer is stored in
that transaction. So there is never an effect without its answer, nor a lock that outlives a crash.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

import msgspec
from django.conf import settings

from oms.core.errors import Conflict, OperationError, Unprocessable
from oms.db.bulk_writes import write
from oms.db.pipeline import Pipeline
from oms.db.transactions import transaction_required
from oms.http.addresses import address_group
from oms.http.payloads import count_strings
from oms.queue.purging import purge_rows

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"

_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_decoder = msgspec.json.Decoder()
_sorted_encoder = msgspec.json.Encoder(order="sorted")
_KEPT_HEADERS = ("Allow", "Content-Type", "ETag", "Location")

_LOCK_KEYS = """
    SELECT pg_try_advisory_xact_lock(key.number)
    FROM unnest(%s::bigint[]) WITH ORDINALITY AS key (number, place)
    ORDER BY key.place
"""
_RECORDS = """
    SELECT scope, fingerprint, status, headers, body, created_at > now() - %s
    FROM http_idempotencyrecord
    WHERE scope = ANY(%s)
"""
# Raw, because the ORM has no form for many rows in one parameter.
_STORE = """
    INSERT INTO http_idempotencyrecord (scope, fingerprint, status, headers, body)
    SELECT scope, fingerprint, status, headers, body
    FROM json_to_recordset(%s::json)
        AS new (scope uuid, fingerprint bytea, status int, headers jsonb, body bytea)
    ON CONFLICT (scope) DO UPDATE SET
        fingerprint = EXCLUDED.fingerprint, status = EXCLUDED.status,
        headers = EXCLUDED.headers, body = EXCLUDED.body, created_at = now()
"""
# A key that is taken again at this moment is locked, or not old any more when it is not.
_PURGE = """
    DELETE FROM http_idempotencyrecord
    WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM http_idempotencyrecord WHERE created_at <= %(before)s
        ORDER BY created_at LIMIT %(batch)s FOR UPDATE SKIP LOCKED))
"""


class IdempotencyInProgress(Conflict):
    """The first call with this Idempotency-Key is still running; try again shortly."""

    code = "idempotency_in_progress"
    # Seconds; read by oms.http.problems.
    retry_after = 1


class IdempotencyKeyReused(Unprocessable):
    """This Idempotency-Key was used for a call with another body."""

    code = "idempotency_key_reused"


@dataclass(frozen=True, kw_only=True)
class KeyedCall:
    """A call with a key: `scope` is half a SHA-256 digest, `fingerprint` a whole one."""

    scope: UUID
    fingerprint: bytes
    body: bytes

    def has_had(self, fingerprint: bytes) -> bool:
        """Whether that was the fingerprint of this call earlier, within the lifetime of a key.

        Under one of settings.SECRET_KEY_FALLBACKS, or with a release that compared bodies byte by
        byte.
        """
        secrets = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
        earlier = [_fingerprint(_comparable(self.body), secret=secret) for secret in secrets[1:]]
        earlier += [_fingerprint(b"\n" + self.body, secret=secret) for secret in secrets]
        return fingerprint in earlier


def is_key(text: str) -> bool:
    """Whether `text` can be an Idempotency-Key: 1 to 255 visible ASCII characters."""
    return _KEY.fullmatch(text) is not None


def keyed_call(
    key: str,
    *,
    user_id: UUID | None,
    address: str | None,
    method: str,
    path: str,
    query: bytes,
    body: bytes,
) -> KeyedCall:
    """The call of the user, or of the anonymous address, with `key`.

    Neither the key nor the request is kept in clear.
    """
    caller = f"user {user_id}" if user_id else f"anonymous {address_group(address)}"
    target = f"{path}?{query.decode('latin-1')}" if query else path
    scope = "\n".join([caller, method, target, key])
    return KeyedCall(
        scope=UUID(bytes=hashlib.sha256(scope.encode()).digest()[:16]),
        fingerprint=_fingerprint(_comparable(body), secret=settings.SECRET_KEY),
        body=body,
    )


def _comparable(body: bytes) -> bytes:
    """The same text for all JSON bodies of one value; other bodies as they are.

    So clients may repeat a call with other spaces, escapes, or another order of members.
    """
    try:
        text = _sorted_encoder.encode(_decoder.decode(body))
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return body
    # Of members with one name the decoder keeps the last: such a body has no one value.
    return text if count_strings(text) == count_strings(body) else body


def _fingerprint(text: bytes, *, secret: str) -> bytes:
    # With our own secret, for a body may hold a password that a plain digest would betray.
    return hmac.digest(_fingerprint_key(secret), text, "sha256")


@cache
def _fingerprint_key(secret: str) -> bytes:
    return hashlib.sha256(f"oms.http.idempotency{secret}".encode()).digest()


@dataclass(frozen=True, kw_only=True)
class StoredAnswer:
    """The answer to a call, as it is stored with its key."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_kept(self) -> bool:
        """Whether the call must not run again: what may succeed later is not kept."""
        return self.status not in (401, 412, 429) and self.status < 500

    @property
    def replayed_headers(self) -> dict[str, str]:
        """The headers of the answer when it is repeated."""
        return {**self.headers, REPLAYED: "true"}


def stored_answer(*, status: int, headers: Mapping[str, str], body: bytes) -> StoredAnswer:
    """An answer with those of its headers that are repeated with it."""
    kept = {name: headers[name] for name in _KEPT_HEADERS if name in headers}
    return StoredAnswer(status=status, headers=kept, body=body)


class KeyLocks:
    """The locks and stored answers of calls with different keys: two statements of the pipeline."""

    def __init__(self, calls: Sequence[KeyedCall], *, pipeline: Pipeline) -> None:
        self._calls = calls
        if not calls:
            return
        scopes = [call.scope for call in calls]
        self._locks = pipeline.query(_LOCK_KEYS, [[_lock_number(scope) for scope in scopes]])
        # A statement of its own: it must see what was committed before the lock was free.
        self._records = pipeline.query(_RECORDS, [settings.IDEMPOTENCY_KEY_LIFETIME, scopes])

    def earlier_answers(self) -> list[StoredAnswer | OperationError | None]:
        """For each call its stored answer or refusal; None if it is the first, and holds the key.

        Refusals are IdempotencyInProgress and IdempotencyKeyReused.
        """
        if not self._calls:
            return []
        locked = [is_locked for (is_locked,) in self._locks.rows()]
        found = {scope: record for scope, *record, is_fresh in self._records.rows() if is_fresh}
        return [
            _earlier_answer(call, is_locked=is_locked, record=found.get(call.scope))
            for call, is_locked in zip(self._calls, locked, strict=True)
        ]


def _earlier_answer(
    call: KeyedCall, *, is_locked: bool, record: Sequence[Any] | None
) -> StoredAnswer | OperationError | None:
    if not is_locked:
        return IdempotencyInProgress()
    if record is None:
        return None
    fingerprint, status, headers, body = record
    if bytes(fingerprint) != call.fingerprint and not call.has_had(bytes(fingerprint)):
        return IdempotencyKeyReused()
    return StoredAnswer(status=status, headers=headers, body=bytes(body))


def _lock_number(scope: UUID) -> int:
    return int.from_bytes(scope.bytes[:8], signed=True)


@transaction_required
def lock_key(*, call: KeyedCall) -> StoredAnswer | None:
    """The stored answer to `call`; None if it is the first, which now holds the key.

    Raises IdempotencyInProgress and IdempotencyKeyReused.
    """
    with Pipeline() as pipeline:
        [earlier] = KeyLocks([call], pipeline=pipeline).earlier_answers()
    if isinstance(earlier, OperationError):
        raise earlier
    return earlier


@transaction_required
def store_answers(
    answers: Iterable[tuple[KeyedCall, StoredAnswer]], *, pipeline: Pipeline | None = None
) -> None:
    """Store the answers to calls that hold their keys, with one statement.

    An answer that has expired is replaced.
    """
    rows = [
        {
            "scope": call.scope,
            "fingerprint": "\\x" + call.fingerprint.hex(),
            "status": answer.status,
            "headers": dict(answer.headers),
            "body": "\\x" + answer.body.hex(),
        }
        for call, answer in answers
    ]
    if rows:
        write(_STORE, [msgspec.json.encode(rows).decode()], pipeline=pipeline)


def purge_idempotency_records(*, now: datetime, deadline: float) -> int:
    """Delete the answers that have expired by `now`; returns how many.

    Stops at `deadline` of `time.monotonic`.
    """
    return purge_rows(
        what="idempotency records",
        statement=_PURGE,
        parameters={"before": now - settings.IDEMPOTENCY_KEY_LIFETIME},
        deadline=deadline,
    )
