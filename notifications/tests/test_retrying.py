"""Retrying failed mail."""

from __future__ import annotations

from uuid import uuid4

import pytest

from notifications.errors import NotificationNotRetryable
from notifications.models import Channel, DeliveryState, Notification
from notifications.operations.retrying import retry_notification
from notifications.operations.sending import MailSender
from notifications.tests.mail_senders import MakeMail, send_all
from notifications.tests.mail_server import MailServer
from oms.core.errors import Forbidden, NotFound
from oms.events.models import Event
from oms.testing.factories import actor_for, make_customer, make_staff

pytestmark = pytest.mark.django_db


@pytest.fixture
def dead(mail: MakeMail, mail_server: MailServer) -> Notification:
    """An undeliverable mail."""
    row = mail()
    mail_server.rejections = ["550 no such user"]
    assert send_all(MailSender()) == 1
    row.refresh_from_db()
    assert row.state == DeliveryState.DEAD
    return row


def test_staff_can_retry_an_undeliverable_mail(dead: Notification, mail_server: MailServer) -> None:
    staff = make_staff()

    retry_notification(actor=actor_for(staff), notification_id=dead.id)

    assert send_all(MailSender()) == 1
    dead.refresh_from_db()
    assert (dead.state, dead.attempts) == (DeliveryState.SENT, 1)
    assert mail_server.message_ids == [dead.message_id]
    event = Event.objects.get(type="notification.retried")
    assert (event.object_id, event.actor_id) == (dead.id, staff.id)


def test_customers_cannot_retry_mail(dead: Notification) -> None:
    with pytest.raises(Forbidden):
        retry_notification(actor=actor_for(make_customer()), notification_id=dead.id)

    dead.refresh_from_db()
    assert dead.state == DeliveryState.DEAD


@pytest.mark.parametrize(
    ("channel", "state"),
    [
        (Channel.EMAIL, DeliveryState.QUEUED),
        (Channel.EMAIL, DeliveryState.SENDING),
        (Channel.IN_APP, DeliveryState.SENT),
    ],
)
def test_only_failed_mail_can_be_retried(
    dead: Notification, channel: Channel, state: DeliveryState
) -> None:
    row = Notification.objects.get(order_id=dead.order_id, channel=channel)
    Notification.objects.filter(pk=row.pk).update(state=state)

    with pytest.raises(NotificationNotRetryable):
        retry_notification(actor=actor_for(make_staff()), notification_id=row.id)

    row.refresh_from_db()
    assert row.state == state


def test_an_unknown_notification_cannot_be_retried(db: None) -> None:
    with pytest.raises(NotFound):
        retry_notification(actor=actor_for(make_staff()), notification_id=uuid4())
