"""Sending mail to a real SMTP server that fails at times."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.mail.backends.base import BaseEmailBackend
from django.db.models.functions import Now
from pytest_django import Settings

from notifications.models import DeliveryState, Notification
from notifications.operations.sending import MailSender
from notifications.tasks import send_due_mail
from notifications.tests.conftest import PlaceOrder, use_smtp
from notifications.tests.mail_senders import MakeMail, make_due, send_all
from notifications.tests.mail_server import MailServer
from oms.devserver.ports import free_port
from oms.queue.leases import claim_due, retry_policy
from oms.testing.factories import make_customer
from orders.models import Order

MAX_ATTEMPTS = retry_policy(Notification).attempts

pytestmark = pytest.mark.django_db


def test_a_mail_is_sent_as_text_and_html_under_the_shop_name(
    mail: MakeMail, mail_server: MailServer, settings: Settings
) -> None:
    settings.SHOP_NAME = "Nordwind & Söhne"
    waiting = mail(email="ada@example.com")

    send_due_mail()

    [message] = mail_server.messages
    waiting.refresh_from_db()
    assert mail_server.recipients == ["ada@example.com"]
    assert message["Subject"] == waiting.subject
    assert message["From"] == "Nordwind & Söhne <orders@example.com>"
    assert message["To"] == "ada@example.com"
    assert message["Message-ID"] == waiting.message_id
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["References"] == f"<order-{waiting.order_id}@example.com>"
    assert message.get_content_type() == "multipart/alternative"
    text, html = message.iter_parts()
    assert text.get_content_type() == "text/plain"
    assert "Nordwind & Söhne" in text.get_content()
    assert html.get_content_type() == "text/html"
    assert "Nordwind &amp; Söhne" in html.get_content()
    assert waiting.state == DeliveryState.SENT
    assert waiting.sent_at is not None
    assert (waiting.attempts, waiting.next_attempt_at, waiting.lease_until) == (1, None, None)


def test_mail_waits_for_an_unavailable_server_without_using_up_attempts(
    mail: MakeMail, settings: Settings
) -> None:
    port = free_port()
    use_smtp(settings, port=port)
    waiting = mail()
    sender = MailSender()
    sender.server.pause = 0

    for _ in range(MAX_ATTEMPTS + 1):
        assert not sender.send_batch()

    waiting.refresh_from_db()
    assert (waiting.state, waiting.attempts) == (DeliveryState.QUEUED, 0)
    with MailServer(port=port) as server:
        assert send_all(sender) == 1
        assert server.message_ids == [waiting.message_id]
    waiting.refresh_from_db()
    assert waiting.state == DeliveryState.SENT


def test_an_unavailable_server_is_not_contacted_during_the_pause(
    mail: MakeMail, settings: Settings
) -> None:
    port = free_port()
    use_smtp(settings, port=port)
    mail()
    sender = MailSender()
    sender.server.pause = 60
    assert not sender.send_batch()

    with MailServer(port=port) as server:
        assert not sender.send_batch()

    assert server.messages == []


def test_an_order_can_be_placed_while_the_mail_server_is_unavailable(
    place: PlaceOrder, settings: Settings
) -> None:
    use_smtp(settings, port=free_port())

    order = place(make_customer())

    send_due_mail()
    assert Order.objects.filter(pk=order.pk).exists()


def test_a_temporary_rejection_is_retried_after_a_pause(
    mail: MakeMail, mail_server: MailServer
) -> None:
    waiting = mail()
    mail_server.rejections = ["451 greylisted, come again"]

    assert send_all(MailSender()) == 1

    waiting.refresh_from_db()
    assert (waiting.state, waiting.attempts) == (DeliveryState.FAILED, 1)
    assert "greylisted" in waiting.last_error
    assert waiting.next_attempt_at is not None
    pause = waiting.next_attempt_at - waiting.created_at
    assert timedelta(seconds=44) < pause < timedelta(seconds=90)
    make_due(waiting)
    assert send_all(MailSender()) == 1
    waiting.refresh_from_db()
    assert (waiting.state, waiting.attempts, waiting.last_error) == (DeliveryState.SENT, 2, "")
    assert mail_server.message_ids == [waiting.message_id]


def test_a_mail_is_undeliverable_after_the_last_attempt(
    mail: MakeMail, mail_server: MailServer
) -> None:
    waiting = mail()
    mail_server.rejections = ["451 not now"] * MAX_ATTEMPTS

    for _ in range(MAX_ATTEMPTS):
        make_due(waiting)
        assert send_all(MailSender()) == 1

    waiting.refresh_from_db()
    assert (waiting.state, waiting.attempts) == (DeliveryState.DEAD, MAX_ATTEMPTS)
    assert waiting.next_attempt_at is None
    assert mail_server.messages == []


def test_a_permanent_rejection_is_not_retried_and_delays_no_other_mail(
    mail: MakeMail, mail_server: MailServer
) -> None:
    lost, good = mail(), mail()
    mail_server.rejections = ["550 no such user"]

    assert send_all(MailSender()) == 2

    lost.refresh_from_db()
    good.refresh_from_db()
    assert (lost.state, lost.next_attempt_at) == (DeliveryState.DEAD, None)
    assert good.state == DeliveryState.SENT


def test_a_mail_lost_during_transfer_is_sent_again(mail: MakeMail, mail_server: MailServer) -> None:
    waiting = mail()
    mail_server.drop_before = 1

    assert send_all(MailSender()) == 1

    waiting.refresh_from_db()
    assert waiting.state == DeliveryState.FAILED
    assert mail_server.messages == []
    make_due(waiting)
    assert send_all(MailSender()) == 1
    assert mail_server.message_ids == [waiting.message_id]


def test_a_mail_whose_response_was_lost_is_sent_twice_with_one_message_id(
    mail: MakeMail, mail_server: MailServer
) -> None:
    waiting = mail()
    mail_server.drop_after = 1

    assert send_all(MailSender()) == 1
    make_due(waiting)
    assert send_all(MailSender()) == 1

    assert mail_server.message_ids == [waiting.message_id, waiting.message_id]
    waiting.refresh_from_db()
    assert waiting.state == DeliveryState.SENT


def test_the_mail_of_a_dead_worker_is_sent_when_its_lease_expires(
    mail: MakeMail, mail_server: MailServer
) -> None:
    waiting = mail()
    assert len(claim_due(Notification, limit=1)) == 1
    assert send_all(MailSender()) == 0

    Notification.objects.update(lease_until=Now() - timedelta(seconds=1))

    assert send_all(MailSender()) == 1
    assert mail_server.message_ids == [waiting.message_id]


def test_a_worker_that_lost_its_lease_cannot_overwrite_its_successor(mail: MakeMail) -> None:
    waiting = mail()

    class Slow(BaseEmailBackend):
        """While it sends, the lease expires and another worker sends the mail."""

        def send_messages(self, messages: object) -> int:
            Notification.objects.update(lease_until=Now() - timedelta(seconds=1))
            send_all(MailSender())
            raise TimeoutError

    send_all(MailSender(connect=Slow))

    waiting.refresh_from_db()
    assert (waiting.state, waiting.fencing_token) == (DeliveryState.SENT, 2)


def test_a_mail_that_kills_its_workers_becomes_undeliverable(
    mail: MakeMail, mail_server: MailServer
) -> None:
    waiting = mail()
    Notification.objects.update(
        attempts=MAX_ATTEMPTS, lease_until=Now() - timedelta(seconds=1), state="sending"
    )

    assert send_all(MailSender()) == 0

    waiting.refresh_from_db()
    assert waiting.state == DeliveryState.DEAD
    assert mail_server.messages == []


@pytest.mark.parametrize("field", ["subject", "email", "message_id"])
def test_a_line_break_cannot_inject_a_header(
    mail: MakeMail, mail_server: MailServer, field: str
) -> None:
    waiting = mail()
    Notification.objects.update(**{field: "a@example.com\r\nBcc: eve@example.com"})

    assert send_all(MailSender()) == 1

    waiting.refresh_from_db()
    assert waiting.state == DeliveryState.DEAD
    assert mail_server.messages == []


@pytest.mark.parametrize("address", ["<>", "shop@["])
def test_an_address_on_which_pythons_parser_fails_stops_no_other_mail(
    mail: MakeMail, mail_server: MailServer, address: str
) -> None:
    bad, good = mail(), mail()
    Notification.objects.filter(pk=bad.pk).update(email=address)

    assert send_all(MailSender()) == 2

    bad.refresh_from_db()
    good.refresh_from_db()
    assert good.state == DeliveryState.SENT
    assert (bad.state, bad.lease_until) == (DeliveryState.FAILED, None)
    assert bad.last_error
