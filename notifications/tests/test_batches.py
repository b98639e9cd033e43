"""Several mails claimed at once, and sent one after another."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from unittest.mock import Mock

import pytest
from django.core.mail import get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.db import OperationalError, connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from notifications.models import Notification
from notifications.operations import sending
from notifications.operations.sending import MailSender
from notifications.tests.mail_senders import MakeMail, send_all
from notifications.tests.mail_server import MailServer

pytestmark = pytest.mark.django_db(transaction=True)


def test_many_mails_go_over_one_connection(mail: MakeMail, mail_server: MailServer) -> None:
    waiting = [mail() for _ in range(5)]
    opened = []

    def connect() -> BaseEmailBackend:
        opened.append(get_connection())
        return opened[-1]

    assert send_all(MailSender(connect=connect)) == 5

    assert len(opened) == 1
    assert mail_server.message_ids == [row.message_id for row in waiting]


def test_mails_claimed_but_not_tried_are_as_they_were_when_the_server_goes_away(
    mail: MakeMail,
) -> None:
    rows = [mail() for _ in range(3)]
    has_left = threading.Event()

    class Leaving(BaseEmailBackend):
        """A server that goes away in the middle of the first mail."""

        def open(self) -> bool:
            if has_left.is_set():
                raise ConnectionRefusedError
            return True

        def send_messages(self, messages: object) -> int:
            has_left.set()
            raise ConnectionResetError

    assert MailSender(connect=Leaving).send_batch() == 1

    for row in rows:
        row.refresh_from_db()
    assert [row.state for row in rows] == ["failed", "queued", "queued"]
    assert [row.attempts for row in rows] == [1, 0, 0]
    assert [row.lease_until for row in rows] == [None] * 3


def test_a_worker_that_breaks_off_gives_back_what_it_has_not_tried(mail: MakeMail) -> None:
    rows = [mail() for _ in range(3)]

    class Stopping(BaseEmailBackend):
        """The worker is stopped while it sends."""

        def send_messages(self, messages: object) -> int:
            raise SystemExit

    with pytest.raises(SystemExit):
        MailSender(connect=Stopping).send_batch()

    for row in rows:
        row.refresh_from_db()
    assert [row.state for row in rows] == ["sending", "queued", "queued"]
    assert [row.attempts for row in rows] == [1, 0, 0]


def test_many_mails_take_as_many_statements_as_one(
    mail: MakeMail, mail_server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "_NOTED_EVERY", 60.0)

    def statements(count: int) -> int:
        for _ in range(count):
            mail()
        postman = MailSender()
        with CaptureQueriesContext(connection) as captured:
            assert postman.send_batch() == count
        postman.close()
        return len(captured)

    assert statements(50) == statements(1)


def test_a_mail_that_fails_amid_a_batch_leaves_the_others_alone(
    mail: MakeMail, mail_server: MailServer
) -> None:
    rows = [mail() for _ in range(4)]
    mail_server.refusals = ["", "451 not now", "550 no such user", ""]

    postman = MailSender()
    assert postman.send_batch() == 4
    postman.close()

    for row in rows:
        row.refresh_from_db()
    assert [row.state for row in rows] == ["sent", "failed", "dead", "sent"]
    assert mail_server.message_ids == [rows[0].message_id, rows[3].message_id]


def test_a_worker_that_dies_amid_a_batch_doubles_no_more_than_it_had_not_noted(
    mail: MakeMail, mail_server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [mail() for _ in range(4)]
    noted: list[int] = []
    note = sending._settle_sent

    def note_or_die(sent: Sequence[tuple[Notification, datetime]]) -> None:
        if noted:
            raise KeyboardInterrupt  # as if killed: nothing after it is written
        noted.append(len(sent))
        note(sent)

    monkeypatch.setattr(sending, "_settle_sent", note_or_die)
    monkeypatch.setattr(sending, "_NOTED_EVERY", 0.0)
    postman = MailSender()
    with pytest.raises(KeyboardInterrupt):
        postman.send_batch()
    postman.close()
    monkeypatch.undo()
    Notification.objects.exclude(state="sent").update(lease_until=Now() - timedelta(seconds=1))
    postman = MailSender()
    send_all(postman)  # each alone, for each was tried before

    assert noted == [1]
    ids = mail_server.message_ids
    assert [ids.count(row.message_id) for row in rows] == [1, 2, 1, 1]
    assert set(Notification.objects.values_list("state", flat=True)) == {"sent"}


def test_what_could_not_be_noted_is_noted_later_and_not_sent_again(
    mail: MakeMail, mail_server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [mail() for _ in range(3)]
    postman = MailSender()
    with monkeypatch.context() as away:
        away.setattr(sending, "_settle_sent", Mock(side_effect=OperationalError("away")))
        with pytest.raises(OperationalError):
            postman.send_batch()

    assert postman.send_batch() == 0
    postman.close()

    assert mail_server.message_ids == [row.message_id for row in rows]
    assert set(Notification.objects.values_list("state", flat=True)) == {"sent"}


def test_a_batch_ends_in_time_and_gives_back_what_it_has_not_tried(
    mail: MakeMail, mail_server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [mail() for _ in range(4)]
    monkeypatch.setattr(sending, "_SENT_FOR", 0.0)
    postman = MailSender()

    assert postman.send_batch() == 1
    postman.close()

    for row in rows:
        row.refresh_from_db()
    assert [row.state for row in rows] == ["sent", "queued", "queued", "queued"]
    assert [row.attempts for row in rows] == [1, 0, 0, 0]
    assert [row.lease_until for row in rows] == [None] * 4
