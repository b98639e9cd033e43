"""Several mails claimed at once, and sent one after another."""

from __future__ import annotations

import threading

import pytest
from django.core.mail import get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.db import connection
from django.test.utils import CaptureQueriesContext

from notifications.operations.sending import Postman
from notifications.tests.mail_server import MailServer
from notifications.tests.postmen import MakeMail, send_all

pytestmark = pytest.mark.django_db(transaction=True)


def test_many_mails_go_over_one_connection(mail: MakeMail, mail_server: MailServer) -> None:
    waiting = [mail() for _ in range(5)]
    opened = []

    def connect() -> BaseEmailBackend:
        opened.append(get_connection())
        return opened[-1]

    assert send_all(Postman(connect=connect)) == 5

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

    assert Postman(connect=Leaving).send_batch() == 1

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
        Postman(connect=Stopping).send_batch()

    for row in rows:
        row.refresh_from_db()
    assert [row.state for row in rows] == ["sending", "queued", "queued"]
    assert [row.attempts for row in rows] == [1, 0, 0]


def test_a_further_mail_of_a_batch_costs_one_statement(
    mail: MakeMail, mail_server: MailServer
) -> None:
    def statements(count: int) -> int:
        for _ in range(count):
            mail()
        postman = Postman()
        with CaptureQueriesContext(connection) as captured:
            assert postman.send_batch() == count
        postman.close()
        return len(captured)

    assert statements(5) - statements(1) == 4
