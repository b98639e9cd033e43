"""Mail on its way out, against a real SMTP server that is not always well."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.mail.backends.base import BaseEmailBackend
from django.db.models.functions import Now
from pytest_django import Settings

from notifications.models import DeliveryState, Notification
from notifications.operations.sending import LEASE, MAX_ATTEMPTS, MailSender
from notifications.tasks import drain_notifications
from notifications.tests.conftest import PlaceOrder, use_smtp
from notifications.tests.mail_senders import MakeMail, make_due, send_all
from notifications.tests.mail_server import MailServer
from oms.devserver import free_port
from oms.queue.leases import claim_due
from oms.testing.factories import make_customer
from orders.models import Order

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_mail_arrives_as_text_and_html_under_the_shops_name(
    mail: MakeMail, mail_server: MailServer, settings: Settings
) -> None:
    settings.SHOP_NAME = "Nordwind & Söhne"
    waiting = mail("ada@example.com")

    drain_notifications()

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


def test_mail_waits_for_a_server_that_is_away_without_using_up_its_attempts(
    mail: MakeMail, settings: Settings
) -> None:
    port = free_port()
    use_smtp(settings, port=port)
    waiting = mail()
    postman = MailSender(pause=0)

    for _ in range(MAX_ATTEMPTS + 1):
        assert not postman.send_batch()

    waiting.refresh_from_db()
    assert (waiting.state, waiting.attempts) == (DeliveryState.QUEUED, 0)
    with MailServer(port=port) as server:
        assert send_all(postman) == 1
        assert server.message_ids == [waiting.message_id]
    waiting.refresh_from_db()
    assert waiting.state == DeliveryState.SENT


def test_a_server_that_is_away_is_left_alone_for_a_while(
    mail: MakeMail, settings: Settings
) -> None:
    port = free_port()
    use_smtp(settings, port=port)
    mail()
    postman = MailSender(pause=60)
    assert not postman.send_batch()

    with MailServer(port=port) as server:
        assert not postman.send_batch()

    assert server.messages == []


def test_an_order_can_be_placed_while_no_mail_goes_out(
    place: PlaceOrder, settings: Settings
) -> None:
    use_smtp(settings, port=free_port())

    order = place(make_customer())

    drain_notifications()
    assert Order.objects.filter(pk=order.pk).exists()


def test_a_refusal_for_now_is_tried_again_after_a_pause(
    mail: MakeMail, mail_server: MailServer
) -> None:
    waiting = mail()
    mail_server.refusals = ["451 greylisted, come again"]

    assert send_all(MailSender()) == 1

    waiting.refresh_from_db()
    assert (waiting.state, waiting.attempts) == (DeliveryState.FAILED, 1)
    assert "greylisted" in waiting.last_error
    assert waiting.next_attempt_at is not None
    pause = waiting.next_attempt_at - waiting.created_at
    assert timedelta(seconds=58) < pause < timedelta(seconds=90)
    make_due(waiting)
    assert send_all(MailSender()) == 1
    waiting.refresh_from_db()
    assert (waiting.state, waiting.attempts, waiting.last_error) == (DeliveryState.SENT, 2, "")
    assert mail_server.message_ids == [waiting.message_id]


def test_a_mail_is_given_up_after_the_last_attempt(mail: MakeMail, mail_server: MailServer) -> None:
    waiting = mail()
    mail_server.refusals = ["451 not now"] * MAX_ATTEMPTS

    for _ in range(MAX_ATTEMPTS):
        make_due(waiting)
        assert send_all(MailSender()) == 1

    waiting.refresh_from_db()
    assert (waiting.state, waiting.attempts) == (DeliveryState.DEAD, MAX_ATTEMPTS)
    assert waiting.next_attempt_at is None
    assert mail_server.messages == []


def test_a_mailbox_that_does_not_exist_is_not_tried_again_and_holds_up_nobody(
    mail: MakeMail, mail_server: MailServer
) -> None:
    lost, good = mail(), mail()
    mail_server.refusals = ["550 no such user"]

    assert send_all(MailSender()) == 2

    lost.refresh_from_db()
    good.refresh_from_db()
    assert (lost.state, lost.next_attempt_at) == (DeliveryState.DEAD, None)
    assert good.state == DeliveryState.SENT


def test_a_mail_lost_in_the_middle_is_sent_again(mail: MakeMail, mail_server: MailServer) -> None:
    waiting = mail()
    mail_server.cut_before = 1

    assert send_all(MailSender()) == 1

    waiting.refresh_from_db()
    assert waiting.state == DeliveryState.FAILED
    assert mail_server.messages == []
    make_due(waiting)
    assert send_all(MailSender()) == 1
    assert mail_server.message_ids == [waiting.message_id]


def test_a_mail_whose_receipt_was_lost_comes_twice_with_one_message_id(
    mail: MakeMail, mail_server: MailServer
) -> None:
    waiting = mail()
    mail_server.cut_after = 1

    assert send_all(MailSender()) == 1
    make_due(waiting)
    assert send_all(MailSender()) == 1

    assert mail_server.message_ids == [waiting.message_id, waiting.message_id]
    waiting.refresh_from_db()
    assert waiting.state == DeliveryState.SENT


def test_the_mail_of_a_worker_that_died_goes_out_when_its_lease_ends(
    mail: MakeMail, mail_server: MailServer
) -> None:
    waiting = mail()
    assert len(claim_due(Notification, lease=LEASE, limit=1)) == 1
    assert send_all(MailSender()) == 0

    Notification.objects.update(lease_until=Now() - timedelta(seconds=1))

    assert send_all(MailSender()) == 1
    assert mail_server.message_ids == [waiting.message_id]


def test_a_worker_that_lost_its_lease_cannot_write_over_its_successor(mail: MakeMail) -> None:
    waiting = mail()

    class Slow(BaseEmailBackend):
        """While it sends, the lease runs out and another worker sends the mail."""

        def send_messages(self, messages: object) -> int:
            Notification.objects.update(lease_until=Now() - timedelta(seconds=1))
            send_all(MailSender())
            raise TimeoutError

    send_all(MailSender(connect=Slow))

    waiting.refresh_from_db()
    assert (waiting.state, waiting.fencing_token) == (DeliveryState.SENT, 2)


def test_a_mail_that_kills_its_workers_is_given_up(mail: MakeMail, mail_server: MailServer) -> None:
    waiting = mail()
    Notification.objects.update(attempts=MAX_ATTEMPTS)

    assert send_all(MailSender()) == 1

    waiting.refresh_from_db()
    assert waiting.state == DeliveryState.DEAD
    assert mail_server.messages == []


@pytest.mark.parametrize("field", ["subject", "email", "message_id"])
def test_a_line_break_cannot_smuggle_a_header_in(
    mail: MakeMail, mail_server: MailServer, field: str
) -> None:
    waiting = mail()
    Notification.objects.update(**{field: "a@example.com\r\nBcc: eve@example.com"})

    assert send_all(MailSender()) == 1

    waiting.refresh_from_db()
    assert waiting.state == DeliveryState.DEAD
    assert mail_server.messages == []
