"""Mail servers that hang, and a disk that is full."""

from __future__ import annotations

import resource
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pytest_django import Settings

from notifications.models import DeliveryState, Notification
from notifications.operations.sending import MailSender
from notifications.tests.conftest import use_smtp
from notifications.tests.mail_senders import MakeMails, make_due, send_all
from notifications.tests.mail_server import MailServer

pytestmark = pytest.mark.django_db


class HangingServer:
    """An SMTP server that says `greeting` and then a byte every 0.2 seconds, for ever."""

    def __init__(self, greeting: bytes) -> None:
        self._greeting = greeting
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._connections: list[socket.socket] = []
        self._ended = threading.Event()
        self.port: int = self._listener.getsockname()[1]
        self.calls = 0

    def __enter__(self) -> HangingServer:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._ended.set()
        self._listener.close()
        for connection in self._connections:
            connection.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.calls += 1
            self._connections.append(connection)
            threading.Thread(target=self._talk, args=[connection], daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        try:
            connection.sendall(self._greeting)
            while self._greeting and not self._ended.wait(0.2):
                connection.sendall(b"2")
        except OSError:
            pass


def states() -> list[tuple[str, int]]:
    rows = Notification.objects.filter(channel="email").order_by("next_attempt_at")
    return [(row.state, row.attempts) for row in rows]


def test_a_server_that_accepts_and_says_nothing_costs_one_timeout_and_no_attempt(
    mails: MakeMails, settings: Settings
) -> None:
    mails(3)
    with HangingServer(b"") as server:
        use_smtp(settings, port=server.port)
        settings.EMAIL_TIMEOUT = 0.3
        sender = MailSender()

        assert sender.send_batch() == 0
        assert sender.send_batch() == 0

        assert server.calls == 1
    assert states() == [("queued", 0)] * 3


def test_a_server_that_hangs_in_a_mail_is_cut_off_and_the_other_mails_wait(
    mails: MakeMails, settings: Settings, mail_server: MailServer
) -> None:
    rows = mails(3)
    working = settings.EMAIL_PORT
    with HangingServer(b"220 ready\r\n") as server:
        use_smtp(settings, port=server.port)
        sender = MailSender()
        sender.max_seconds = 0.5  # each read succeeds, so no timeout would end it
        began = time.monotonic()

        assert sender.send_batch() == 1
        assert sender.send_batch() == 0

        assert time.monotonic() - began < 5
        assert server.calls == 1
    assert sorted(states()) == [("failed", 1), ("queued", 0), ("queued", 0)]
    assert not Notification.objects.exclude(lease_until=None).exists()

    use_smtp(settings, port=working)
    sender.server.pause = 0
    sender.server.record(is_answered=False)
    for row in rows:
        make_due(row)
    assert send_all(sender) == 3
    assert set(mail_server.message_ids) == {row.message_id for row in rows}


@contextmanager
def full_disk() -> Iterator[None]:
    """No file may grow beyond a byte, as on a full disk; SIGXFSZ is ignored by Python."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_with_a_full_disk_mail_files_wait_and_are_written_later(
    mails: MakeMails, settings: Settings, tmp_path: Path
) -> None:
    rows = mails(3)
    settings.EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    settings.EMAIL_FILE_PATH = str(tmp_path)
    sender = MailSender()

    with full_disk():
        assert sender.send_batch() == 1
        assert sender.send_batch() == 0
    assert sorted(states()) == [("failed", 1), ("queued", 0), ("queued", 0)]

    sender.server.pause = 0
    sender.server.record(is_answered=False)
    for row in rows:
        make_due(row)
    assert send_all(sender) == 3
    assert set(Notification.objects.filter(channel="email").values_list("state", flat=True)) == {
        DeliveryState.SENT
    }
    written = "".join(file.read_text() for file in tmp_path.iterdir())
    for row in rows:
        assert row.message_id in written
