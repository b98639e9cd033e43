"""Mail and events that are given up."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.mail.backends.base import BaseEmailBackend
from django.db import transaction
from django.db.models.functions import Now

from notifications.models import DeliveryState, Notification
from notifications.operations.retrying import retry_notification
from notifications.operations.sending import MailSender
from oms.core.ids import new_id
from oms.events.dead_letters import retry_failed_events
from oms.events.models import DeadLetter, Event
from oms.events.relay import Consumer
from oms.exceptions.models import ExceptionRecord
from oms.exceptions.operations.dead_events import raise_dead_event, settle_dead_event
from oms.queue.leases import retry_policy
from oms.testing.factories import actor_for, make_customer, make_product, make_staff
from oms.testing.ordering import place
from orders.events import OrderPlaced


class Refusing(BaseEmailBackend):
    """A mail server that takes nothing."""

    def send_messages(self, messages: object) -> int:
        raise ValueError("no such mailbox")


def open_exceptions() -> list[ExceptionRecord]:
    return list(ExceptionRecord.objects.filter(resolved_at=None))


@pytest.mark.django_db(transaction=True)
def test_mail_that_is_given_up_is_an_exception_until_it_is_sent(mailoutbox: list[Any]) -> None:
    customer = make_customer()
    mail = Notification.objects.create(
        event_id=new_id(),
        recipient=customer,
        email=customer.email,
        channel="email",
        kind="order_placed",
        subject="Your order",
        body="Thank you.",
        message_id="<1@example.com>",
        attempts=retry_policy(Notification).attempts - 1,
    )
    MailSender(connect=Refusing).send_batch()
    mail.refresh_from_db()
    assert mail.state == DeliveryState.DEAD
    [exception] = open_exceptions()
    assert (exception.kind, exception.operations) == ("dead_mail", ())
    assert exception.subject == f"notification:{mail.id}"

    sender = MailSender()
    retry_notification(actor=actor_for(make_staff()), notification_id=mail.id)
    assert open_exceptions() == [exception]
    sender.send_batch()
    sender.close()

    assert [sent.to for sent in mailoutbox] == [[customer.email]]
    assert open_exceptions() == []


@pytest.mark.django_db
def test_an_event_that_is_given_up_is_an_exception_until_it_is_handled() -> None:
    order = place((make_product(), 1))
    event = Event.objects.get(object_id=order.id, type="order.placed")
    letter = DeadLetter.objects.create(
        consumer="tests",
        event=event,
        attempts=retry_policy(DeadLetter).attempts - 1,
        next_attempt_at=Now(),
        last_error="",
    )
    fails = True

    def handle(events: Any) -> None:
        if fails:
            raise ValueError("cannot handle this")

    consumer = Consumer(name="tests", event_types=(OrderPlaced,), handle=handle)

    def retry() -> int:
        with transaction.atomic():
            return retry_failed_events(
                consumer, on_given_up=raise_dead_event, on_handled=settle_dead_event
            )

    assert retry() == 0
    [exception] = open_exceptions()
    assert (exception.kind, exception.order_id) == ("dead_event", order.id)
    assert "cannot handle this" in exception.cause

    fails = False
    DeadLetter.objects.filter(pk=letter.pk).update(next_attempt_at=Now())
    assert retry() == 1
    assert open_exceptions() == []
