"""Concurrent workers, and real ones."""

from __future__ import annotations

import threading
import time

import pytest

from notifications.models import DeliveryState, Notification
from notifications.operations import sending
from notifications.operations.sending import MailSender
from notifications.operations.subscriptions import SEND_TASK
from notifications.tests.mail_senders import MakeMail, MakeMails, send_all
from notifications.tests.mail_server import MailServer
from oms.queue.wakeups import wake
from oms.testing.processes import Processes
from oms.testing.threads import at_once

pytestmark = pytest.mark.django_db(transaction=True)


def test_four_workers_send_each_of_forty_mails_once(
    mails: MakeMails, mail_server: MailServer
) -> None:
    expected = sorted(row.message_id for row in mails(40))

    at_once(*[lambda: send_all(MailSender())] * 4)

    assert sorted(mail_server.message_ids) == expected


def test_without_the_lease_workers_would_send_a_mail_twice(
    mail: MakeMail, mail_server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control of the test above."""
    mail()
    all_selected = threading.Barrier(4)

    def unleased(model: type[Notification], **how: object) -> list[Notification]:
        rows = list(model.objects.filter(next_attempt_at__isnull=False))
        all_selected.wait(timeout=20)
        return rows

    monkeypatch.setattr(sending, "claim_due", unleased)

    def send_one() -> None:
        sender = MailSender()
        sender.send_batch()
        sender.close()

    at_once(*[send_one] * 4)

    assert len(mail_server.messages) == 4
    assert len(set(mail_server.message_ids)) == 1


@pytest.mark.slow
def test_a_real_worker_sends_due_mail(
    mail: MakeMail, mail_server: MailServer, processes: Processes
) -> None:
    waiting = mail()

    worker = processes.start("notifications", {"EMAIL_URL": f"smtp://127.0.0.1:{mail_server.port}"})
    wake(SEND_TASK)

    deadline = time.monotonic() + 20
    while not mail_server.messages and time.monotonic() < deadline:
        time.sleep(0.05)
    worker.terminate()
    assert mail_server.message_ids == [waiting.message_id]
    waiting.refresh_from_db()
    assert waiting.state == DeliveryState.SENT
