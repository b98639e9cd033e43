"""Old webhooks of providers are deleted."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest

from oms.core import clock
from oms.queue import purging
from payments.models import ProviderMessage
from payments.operations.purging import purge_provider_messages


@pytest.mark.django_db(transaction=True)
def test_old_webhooks_are_deleted_and_the_others_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purging, "BATCH", 2)
    now = clock.now()
    ProviderMessage.objects.bulk_create(
        ProviderMessage(
            provider="sandbox",
            message_id=f"m-{days}",
            type="charge.succeeded",
            body={},
            received_at=now - timedelta(days=days),
        )
        for days in (95, 94, 93, 91, 10, 0)
    )

    before, in_time = now - timedelta(days=90), time.monotonic() + 60
    assert purge_provider_messages(before=before, deadline=time.monotonic()) == 0
    assert purge_provider_messages(before=before, deadline=in_time) == 4

    left = ProviderMessage.objects.order_by("id").values_list("message_id", flat=True)
    assert list(left) == ["m-10", "m-0"]
