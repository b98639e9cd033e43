"""The periodic purge of expired rows."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from pytest_django import Settings

from oms.core import clock
from oms.http.models import IdempotencyRecord
from oms.subscriptions import purge
from oms.testing.faults import refused_rows
from payments.models import ProviderMessage

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_table_that_cannot_be_purged_stops_no_other(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.PROVIDER_MESSAGE_RETENTION_DAYS = 90
    long_ago = clock.now() - timedelta(days=100)
    IdempotencyRecord.objects.create(
        scope=uuid4(), fingerprint=b"x", status=201, headers={}, body=b"{}", created_at=long_ago
    )
    ProviderMessage.objects.create(
        provider="sandbox", message_id="m-1", type="charge", body={}, received_at=long_ago
    )

    with refused_rows("http_idempotencyrecord", "DELETE", condition="true"):
        purge()

    assert not ProviderMessage.objects.exists()
    assert IdempotencyRecord.objects.exists()
    failures: list[Any] = [r.msg for r in caplog.records if r.name == "oms.subscriptions"]
    assert [line["work"] for line in failures] == ["idempotency records"]
