"""Batches of mail: claimed together, sent one by one."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.core.mail import get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.db import OperationalError, connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from notifications.models import Notification
from notifications.operations.sending import MailSender
from notifications.tests.mail_senders import MakeMails, send_all
from notifications.tests.mail_server import MailServer

pytestmark = pytest.mark.django_db


def test_many_mails_go_over_one_connection(mails: MakeMails, mail_server: MailServer) -> None:
    waiting = mails(5)
    opened = []

    def connect() -> BaseEmailBackend:
        opened.append(get_connection())
        return opened[-1]

    assert send_all(MailSender(connect=connect)) == 5

    assert len(opened) == 1
    assert mail_server.message_ids == [row.message_id for row in waiting]


def test_mails_that_were_not_attempted_are_released_when_the_connection_is_lost(
    mails: MakeMails,
) -> None:
    rows = mails(3)
    gone = threading.Event()

    class GoingAway(BaseEmailBackend):
        """A server that goes away during the first mail."""

        def open(self) -> bool:
            if gone.is_set():
                raise ConnectionRefusedError
            return True

        def send_messages(self, messages: object) -> int:
            gone.set()
            raise ConnectionResetError

    assert MailSender(connect=GoingAway).send_batch() == 1

    for row in rows:
        row.refresh_from_db()
    assert [row.state for row in rows] == ["failed", "queued", "queued"]
    assert [row.attempts for row in rows] == [1, 0, 0]
    assert [row.lease_until for row in rows] == [None] * 3


def test_a_stopped_worker_releases_the_mails_it_has_not_attempted(mails: MakeMails) -> None:
    rows = mails(3)

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


def test_the_number_of_statements_does_not_depend_on_the_number_of_mails(
    mails: MakeMails, mail_server: MailServer
) -> None:
    def statements(count: int) -> int:
        mails(count)
        sender = MailSender()
        sender.record_interval = 60.0
        with CaptureQueriesContext(connection) as captured:
            assert sender.send_batch() == count
        sender.close()
        return len(captured)

    assert statements(50) == statements(1)


def test_a_failed_mail_does_not_affect_others_of_its_batch(
    mails: MakeMails, mail_server: MailServer
) -> None:
    rows = mails(4)
    mail_server.rejections = ["", "451 not now", "550 no such user", ""]

    sender = MailSender()
    assert sender.send_batch() == 4
    sender.close()

    for row in rows:
        row.refresh_from_db()
    assert [row.state for row in rows] == ["sent", "failed", "dead", "sent"]
    assert mail_server.message_ids == [rows[0].message_id, rows[3].message_id]


class DatabaseFailure:
    """Raises `error` instead of recording sent mails, from the call number `after` on."""

    def __init__(self, error: BaseException, *, after: int = 0) -> None:
        self.error, self.after = error, after

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith("UPDATE") and '"sent_at"' in sql:
            self.after -= 1
            if self.after < 0:
                raise self.error
        return execute(sql, params, many, context)


def test_a_killed_worker_duplicates_only_the_mails_it_has_not_recorded(
    mails: MakeMails, mail_server: MailServer
) -> None:
    rows = mails(4)
    sender = MailSender()
    sender.record_interval = 0.0
    with (
        connection.execute_wrapper(DatabaseFailure(KeyboardInterrupt(), after=1)),
        pytest.raises(KeyboardInterrupt),
    ):
        sender.send_batch()
    sender.close()
    Notification.objects.exclude(state="sent").update(lease_until=Now() - timedelta(seconds=1))

    send_all(MailSender())

    ids = mail_server.message_ids
    assert [ids.count(row.message_id) for row in rows] == [1, 2, 1, 1]
    assert set(Notification.objects.values_list("state", flat=True)) == {"sent"}


def test_a_failure_to_record_is_made_up_for_without_sending_again(
    mails: MakeMails, mail_server: MailServer
) -> None:
    rows = mails(3)
    sender = MailSender()
    with (
        connection.execute_wrapper(DatabaseFailure(OperationalError("away"))),
        pytest.raises(OperationalError),
    ):
        sender.send_batch()

    assert sender.send_batch() == 0
    sender.close()

    assert mail_server.message_ids == [row.message_id for row in rows]
    assert set(Notification.objects.values_list("state", flat=True)) == {"sent"}


def test_a_batch_ends_in_time_and_releases_the_mails_it_has_not_attempted(
    mails: MakeMails, mail_server: MailServer
) -> None:
    rows = mails(4)
    sender = MailSender()
    sender.batch_seconds = 0.0

    assert sender.send_batch() == 1
    sender.close()

    for row in rows:
        row.refresh_from_db()
    assert [row.state for row in rows] == ["sent", "queued", "queued", "queued"]
    assert [row.attempts for row in rows] == [1, 0, 0, 0]
    assert [row.lease_until for row in rows] == [None] * 4
