"""Purging old notifications."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest

from notifications.models import Channel, DeliveryState, Kind, Notification
from notifications.operations.purging import purge_notifications
from oms.core import clock
from oms.core.ids import first_id_at, new_id
from oms.queue import purging
from oms.testing.factories import make_customer


@pytest.mark.django_db
def test_old_notifications_are_deleted_except_undelivered_mail(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(purging, "BATCH", 2)
    now, customer = clock.now(), make_customer()

    def notification(days: int, channel: Channel, state: DeliveryState) -> Notification:
        at = now - timedelta(days=days)
        return Notification.objects.create(
            id=first_id_at(at),
            event_id=new_id(),
            recipient=customer,
            email=customer.email,
            channel=channel,
            kind=Kind.ORDER_PAID,
            subject="Paid",
            body="Thanks",
            state=state,
            sent_at=at,
            created_at=at,
        )

    waiting = notification(403, Channel.EMAIL, DeliveryState.FAILED)
    notification(402, Channel.EMAIL, DeliveryState.SENT)
    notification(401, Channel.EMAIL, DeliveryState.DEAD)
    notification(400, Channel.IN_APP, DeliveryState.SENT)
    recent = notification(364, Channel.IN_APP, DeliveryState.SENT)

    before = now - timedelta(days=365)
    assert purge_notifications(before=before, deadline=time.monotonic() + 60) == 3
    assert list(Notification.objects.order_by("id")) == [waiting, recent]
