"""Staff's second chance for mail."""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

import pytest

from notifications.errors import NotificationNotRetryable
from notifications.models import Channel, DeliveryState, Notification
from notifications.operations.retrying import retry_notification
from notifications.operations.sending import MailSender
from notifications.tests.conftest import PlaceOrder
from notifications.tests.mail_server import MailServer
from oms.core.errors import Forbidden, NotFound
from oms.events.models import Event
from oms.testing.factories import actor_for, make_customer, make_staff

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def dead(place: PlaceOrder, relay: Callable[[], int], mail_server: MailServer) -> Notification:
    """A mail that was given up."""
    order = place(make_customer())
    relay()
    mail_server.refusals = ["550 no such user"]
    postman = MailSender()
    assert postman.send_batch()
    postman.close()
    row = Notification.objects.get(order_id=order.id, channel=Channel.EMAIL)
    assert row.state == DeliveryState.DEAD
    return row


def test_staff_can_have_a_dead_mail_sent_again(dead: Notification, mail_server: MailServer) -> None:
    staff = make_staff()

    retry_notification(actor=actor_for(staff), notification_id=dead.id)

    postman = MailSender()
    assert postman.send_batch()
    postman.close()
    dead.refresh_from_db()
    assert (dead.state, dead.attempts) == (DeliveryState.SENT, 1)
    assert mail_server.message_ids == [dead.message_id]
    event = Event.objects.get(type="notification.retried")
    assert (event.object_id, event.actor_id) == (dead.id, staff.id)


def test_customers_cannot_have_mail_sent_again(dead: Notification) -> None:
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
def test_only_mail_that_failed_can_be_sent_again(
    dead: Notification, channel: Channel, state: DeliveryState
) -> None:
    row = Notification.objects.get(order_id=dead.order_id, channel=channel)
    Notification.objects.filter(pk=row.pk).update(state=state)

    with pytest.raises(NotificationNotRetryable):
        retry_notification(actor=actor_for(make_staff()), notification_id=row.id)

    row.refresh_from_db()
    assert row.state == state


def test_a_notification_that_is_not_there_cannot_be_sent_again(db: None) -> None:
    with pytest.raises(NotFound):
        retry_notification(actor=actor_for(make_staff()), notification_id=uuid4())
