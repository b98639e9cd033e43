"""How far the background is behind, as operators see it."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now
from django.test import Client

from notifications.models import Notification
from oms.events.models import ConsumerOffset
from oms.subscriptions import queue_lags, relay_events, report_lag
from oms.testing.event_log import wait_until_readable
from oms.testing.factories import make_product
from oms.testing.ordering import place
from payments.models import Payment

pytestmark = pytest.mark.django_db(transaction=True)

NONE_WAITS = {
    "events allocation": 0.0,
    "events notifications": 0.0,
    "events orders": 0.0,
    "mail": 0.0,
    "payments": 0.0,
    "refunds": 0.0,
}


def test_the_oldest_work_is_the_lag_of_its_kind() -> None:
    wait_until_readable()
    relay_events()
    assert queue_lags() == NONE_WAITS

    place((make_product(), 1), token="tok_success")
    Payment.objects.update(next_attempt_at=Now() - timedelta(seconds=90))
    unread = queue_lags()
    wait_until_readable()
    relay_events()
    Notification.objects.filter(channel="email").update(
        next_attempt_at=Now() - timedelta(seconds=30)
    )

    assert 0 < unread["events orders"] < 30
    assert unread["mail"] == 0
    behind = queue_lags()
    assert (behind["events orders"], behind["events notifications"]) == (0, 0)
    assert 90 <= behind["payments"] < 120
    assert 30 <= behind["mail"] < 60


def test_the_lag_is_logged_and_in_the_metrics(caplog: pytest.LogCaptureFixture) -> None:
    ConsumerOffset.objects.create(consumer="orders")
    place((make_product(), 1), token="tok_success")
    Payment.objects.update(next_attempt_at=Now() - timedelta(seconds=90))

    report_lag()
    shown = Client().get("/metrics").content.decode()

    [record] = [record for record in caplog.records if record.name == "oms.queue.lag"]
    line: Any = record.msg
    assert (line["event"], record.levelname) == ("background_lag", "WARNING")
    assert line["payments"] >= 90
    [gauge] = [row for row in shown.splitlines() if 'lag_seconds{work="payments"}' in row]
    assert float(gauge.split()[-1]) >= 90
    name = "oms_background_lag_measured_timestamp_seconds "
    [measured] = [row for row in shown.splitlines() if row.startswith(name)]
    assert time.time() - float(measured.split()[-1]) < 60
