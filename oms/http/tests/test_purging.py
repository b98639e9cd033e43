"""Purging of expired idempotency records."""

from __future__ import annotations

import time
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from django.db import connections

from oms.core import clock
from oms.http.models import IdempotencyRecord
from oms.http.operations.idempotency import purge_idempotency_records
from oms.queue import purging

pytestmark = pytest.mark.django_db(transaction=True)


def answered(*, hours_ago: int) -> UUID:
    """The scope of a call that was answered so long ago."""
    record = IdempotencyRecord.objects.create(
        scope=uuid4(),
        fingerprint=b"x",
        status=201,
        headers={},
        body=b"{}",
        created_at=clock.now() - timedelta(hours=hours_ago),
    )
    return record.scope


def purge() -> int:
    return purge_idempotency_records(now=clock.now(), deadline=time.monotonic() + 60)


def test_only_expired_records_are_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purging, "BATCH", 2)
    for hours in (29, 28, 27, 26, 25):
        answered(hours_ago=hours)
    kept = answered(hours_ago=23)

    assert purge_idempotency_records(now=clock.now(), deadline=time.monotonic()) == 0
    assert purge() == 5
    assert IdempotencyRecord.objects.get().scope == kept
    assert purge() == 0


def test_purging_waits_for_no_key_that_is_in_use() -> None:
    in_use, *_ = (answered(hours_ago=25) for _ in range(3))
    other = connections.create_connection("default")
    other.set_autocommit(False)
    try:
        with other.cursor() as cursor:
            cursor.execute(
                "UPDATE http_idempotencyrecord SET created_at = now() WHERE scope = %s", [in_use]
            )
        assert purge() == 2
        other.commit()
    finally:
        other.close()

    assert purge() == 0
    assert IdempotencyRecord.objects.get().scope == in_use
