"""Calls with an Idempotency-Key: one effect, and the same answer however often it is asked for.

The key of a call is locked for as long as the call's transaction runs, and its answer is stored in
that transaction. So there is never an effect without its answer, nor a lock that outlives a crash.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import connection
from django.db.models.functions import Now

from oms.core.db import durable, transaction_required
from oms.core.errors import Conflict, Unprocessable
from oms.http.models import IdempotencyRecord

PURGE_BATCH = 1_000


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
    """A call under a key: `scope` and `fingerprint` are hexadecimal SHA-256 digests."""

    scope: str
    fingerprint: str


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
    if not _lock_key(call.scope):
        raise IdempotencyInProgress
    # A statement of its own: it must see what was committed before the lock was free.
    record = IdempotencyRecord.objects.filter(
        scope=call.scope, created_at__gt=Now() - settings.IDEMPOTENCY_KEY_LIFETIME
    ).first()
    if record is None:
        return None
    if record.fingerprint != call.fingerprint:
        raise IdempotencyKeyReused
    return Answer(status=record.status, headers=record.headers, body=bytes(record.body))


def _lock_key(scope: str) -> bool:
    """Lock `scope` until the transaction ends; False if another transaction has it."""
    number = int.from_bytes(bytes.fromhex(scope)[:8], signed=True)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [number])
        return bool(cursor.fetchone()[0])


@transaction_required
def finish_call(*, call: Call, answer: Answer) -> None:
    """Store the `answer` of a `call` that was begun, in place of one that has expired."""
    IdempotencyRecord.objects.bulk_create(
        [
            IdempotencyRecord(
                scope=call.scope,
                fingerprint=call.fingerprint,
                status=answer.status,
                headers=dict(answer.headers),
                body=answer.body,
            )
        ],
        update_conflicts=True,
        unique_fields=["scope"],
        update_fields=["fingerprint", "status", "headers", "body", "created_at"],
    )


@durable
def purge_idempotency_records(*, now: datetime) -> int:
    """Delete the answers that have expired by `now`, in batches; returns how many."""
    expired = IdempotencyRecord.objects.filter(
        created_at__lte=now - settings.IDEMPOTENCY_KEY_LIFETIME
    ).order_by("created_at")
    purged = 0
    while batch := list(expired.values_list("scope", flat=True)[:PURGE_BATCH]):
        # By its age too: a key may have been taken again since the batch was read.
        deleted, _ = expired.order_by().filter(scope__in=batch).delete()
        purged += deleted
    return purged
