"""Calls with an Idempotency-Key: one effect, and the same answer however often it is asked for.

The key of a call is locked for as long as the call's transaction runs, and its answer is stored in
that transaction. So there is never an effect without its answer, nor a lock that outlives a crash.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

import orjson
from django.conf import settings

from oms.core.errors import Conflict, OperationError, Unprocessable
from oms.db.bulk_writes import write
from oms.db.pipeline import ask
from oms.db.transactions import transaction_required
from oms.queue.purging import purge_rows

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
class Call:
    """A call under a key: `scope` is half a SHA-256 digest, `fingerprint` a whole one."""

    scope: UUID
    fingerprint: bytes


def call_under(key: str, *, who: str, method: str, path: str, query: bytes, body: bytes) -> Call:
    """The call that `who` makes under `key`; neither it nor the request is kept in clear."""
    scope = "\n".join([who, method, path, key])
    return Call(
        scope=UUID(bytes=hashlib.sha256(scope.encode()).digest()[:16]),
        # With our own secret, for a body may hold a password that a plain digest would betray.
        fingerprint=hmac.digest(_fingerprint_key(), query + b"\n" + body, "sha256"),
    )


@cache
def _fingerprint_key() -> bytes:
    return hashlib.sha256(f"oms.http.idempotency{settings.SECRET_KEY}".encode()).digest()


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a call was answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@transaction_required
def begin_call(*, call: Call) -> Answer | None:
    """The answer that `call` got before; None if it is the first, which now holds the key.

    Raises IdempotencyInProgress and IdempotencyKeyReused.
    """
    [begun] = beginning_calls(calls=[call])()
    if isinstance(begun, OperationError):
        raise begun
    return begun


@transaction_required
def beginning_calls(*, calls: Sequence[Call]) -> Callable[[], list[Answer | OperationError | None]]:
    """`begin_call` for many calls of different keys, with two statements; refusals are returned.

    The answer is fetched by calling what is returned, so that a pipeline can send more statements
    in between.
    """
    if not calls:
        return list
    scopes = [call.scope for call in calls]
    locks = ask(_LOCK_KEYS, [[_lock_number(scope) for scope in scopes]])
    # A statement of its own: it must see what was committed before the lock was free.
    wanted: list[Any] = [settings.IDEMPOTENCY_KEY_LIFETIME, scopes]
    records = ask(_RECORDS, wanted)

    def begun() -> list[Answer | OperationError | None]:
        locked = [row[0] for row in locks.rows()]
        found = {scope: record for scope, *record, is_fresh in records.rows() if is_fresh}
        return [
            _begun(call, is_locked=is_locked, record=found.get(call.scope))
            for call, is_locked in zip(calls, locked, strict=True)
        ]

    return begun


def _begun(
    call: Call, *, is_locked: bool, record: Sequence[Any] | None
) -> Answer | OperationError | None:
    if not is_locked:
        return IdempotencyInProgress()
    if record is None:
        return None
    fingerprint, status, headers, body = record
    if bytes(fingerprint) != call.fingerprint:
        return IdempotencyKeyReused()
    return Answer(status=status, headers=headers, body=bytes(body))


def _lock_number(scope: UUID) -> int:
    return int.from_bytes(scope.bytes[:8], signed=True)


@transaction_required
def finish_call(*, call: Call, answer: Answer) -> None:
    """Store the `answer` of a `call` that was begun, in place of one that has expired."""
    finish_calls(answers=[(call, answer)])


@transaction_required
def finish_calls(*, answers: Iterable[tuple[Call, Answer]]) -> None:
    """`finish_call` for many calls, with one statement."""
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
        write(_STORE, [orjson.dumps(rows).decode()])


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
