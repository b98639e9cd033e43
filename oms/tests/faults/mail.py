"""Mail servers that hang or refuse, and a full disk for the mail files."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
from aiosmtpd.controller import Controller

from oms.tests.faults.checks import check_everything
from oms.tests.faults.clients import Buyers
from oms.tests.faults.experiments import Experiment, NotPossible, Outcome, Size
from oms.tests.faults.shop import Shop

_ENVIRONMENT = (("EMAIL_URL", "smtp://127.0.0.1:PORT+4"),)
_RATE = 8.0
# Placed, paid and confirmed, whatever happens to the mail.
_CONFIRMED_SECONDS = 10.0
# A worker that found no server tries again after half a minute.
_MAIL_BAR = 60.0


class _Inbox:
    """Writes each mail to a file, where the experiments look for it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        id = message_from_bytes(envelope.content)["Message-ID"].strip("<>")
        (self._folder / f"{id}-{uuid.uuid4().hex[:8]}").write_bytes(envelope.content)
        return "250 OK"


class _HangingInbox(_Inbox):
    """Takes the mail, and never says so."""

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        await super().handle_DATA(server, session, envelope)
        await asyncio.sleep(3600)
        return "451 too late"


def broken_servers(shop: Shop, size: Size) -> Outcome:
    """One never greets, then none is there, one takes mail without an answer; then a good one."""
    outcome, buyers = Outcome(), Buyers(shop)
    seconds = size.choose(quick=6, full=40)
    with buyers.placing(shop.products(), threads=4, rate=_RATE):
        with _silent_server(shop):
            time.sleep(seconds)
        time.sleep(seconds)
        if not size.is_quick:  # each such mail waits for a minute before its next attempt
            with _server(shop, _HangingInbox(shop.folder / "mail")):
                time.sleep(_MAIL_BAR)
    outcome.violations += _unconfirmed(shop, buyers)
    with _server(shop, _Inbox(shop.folder / "mail")):
        _wait_for_mail(shop, outcome, bar=_MAIL_BAR if size.is_quick else 2 * _MAIL_BAR)
        outcome.violations += buyers.resolve()
        outcome.violations += check_everything(shop, buyers.record)
    _count_mails(shop, outcome)
    return outcome


def full_disk(shop: Shop, size: Size) -> Outcome:
    """The workers that write mail can write no byte more to any file."""
    outcome, buyers = Outcome(), Buyers(shop)
    with buyers.placing(shop.products(), threads=4, rate=_RATE):
        _limit_files(shop, 0)
        time.sleep(size.choose(quick=5, full=40))
        failed = _unsent(shop)
        outcome.violations += _unconfirmed(shop, buyers)
        _limit_files(shop, resource.RLIM_INFINITY)
    outcome.count("mails that waited", failed)
    if not failed:
        outcome.violations.append("the full disk kept no mail from being written")
    # Attempts are minutes apart: as if these had passed.
    with shop.connect() as connection:
        connection.execute(
            "UPDATE notifications_notification SET next_attempt_at = now()"
            " WHERE state = 'failed' AND next_attempt_at IS NOT NULL"
        )
    _wait_for_mail(shop, outcome, bar=_MAIL_BAR)
    outcome.violations += buyers.resolve()
    outcome.violations += check_everything(shop, buyers.record)
    _count_mails(shop, outcome)
    return outcome


def _limit_files(shop: Shop, size: int) -> None:
    processes = [*shop.processes("notifications"), *shop.processes("notifications child")]
    for process in processes:
        try:
            psutil.Process(process.pid).rlimit(psutil.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
        except (AttributeError, psutil.AccessDenied) as error:
            raise NotPossible("The sizes of other processes' files cannot be limited.") from error


def _unconfirmed(shop: Shop, buyers: Buyers) -> list[str]:
    """Orders that wait for the mail: those placed until now must soon be confirmed."""
    keys = [call.key for call in list(buyers.record.calls)]

    def waiting() -> int:
        number: int = shop.value(
            "SELECT count(*) FROM orders_order WHERE note = ANY(%s) AND status = 'pending'", [keys]
        )
        return number

    with contextlib.suppress(TimeoutError):
        shop.wait_until(
            lambda: not waiting(), seconds=_CONFIRMED_SECONDS, what="they are confirmed"
        )
    left = waiting()
    return [f"{left} orders are still pending because of the mail"] if left else []


def _unsent(shop: Shop) -> int:
    number: int = shop.value(
        "SELECT count(*) FROM notifications_notification"
        " WHERE channel = 'email' AND state <> 'sent' AND created_at >= %s",
        [shop.opened],
    )
    return number


def _wait_for_mail(shop: Shop, outcome: Outcome, *, bar: float) -> None:
    try:
        seconds = shop.wait_until(lambda: not _unsent(shop), seconds=2 * bar, what="mails are sent")
    except TimeoutError as error:
        outcome.slow.append(f"{error} {_unsent(shop)} are left")
    else:
        outcome.recovered(seconds, bar=bar, what="mail")


def _count_mails(shop: Shop, outcome: Outcome) -> None:
    """Each was sent at least once, and again only under the same Message-ID."""
    sent = [
        id.strip("<>")
        for (id,) in shop.rows(
            "SELECT message_id FROM notifications_notification"
            " WHERE channel = 'email' AND created_at >= %s",
            [shop.opened],
        )
    ]
    text = "\n".join(shop.mails())
    times = [text.count(f"Message-ID: <{id}>") for id in sent]
    outcome.count("mails", len(sent))
    outcome.count("mails sent again", sum(1 for number in times if number > 1))
    if missing := times.count(0):
        outcome.violations.append(f"{missing} mails never arrived")


def _port(shop: Shop) -> int:
    port = urlsplit(shop.environment["EMAIL_URL"]).port
    assert port is not None
    return port


@contextmanager
def _server(shop: Shop, inbox: _Inbox) -> Iterator[None]:
    controller = Controller(inbox, hostname="127.0.0.1", port=_port(shop))
    controller.start()
    try:
        yield
    finally:
        controller.stop()


@contextmanager
def _silent_server(shop: Shop) -> Iterator[None]:
    """It accepts connections, and says nothing."""
    connections: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", _port(shop))) as server:

        def accept() -> None:
            with contextlib.suppress(OSError):  # when it is closed
                while True:
                    connections.append(server.accept()[0])

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield
        finally:
            server.shutdown(socket.SHUT_RDWR)
            for connection in connections:
                connection.close()


EXPERIMENTS = (
    Experiment(
        name="full disk for mail files",
        bar="mails later, each Message-ID; orders confirmed within 10 s",
        run=full_disk,
    ),
    Experiment(
        name="mail server hangs and refuses",
        bar="mails within 60 s of its return; orders confirmed within 10 s",
        run=broken_servers,
        environment=_ENVIRONMENT,
    ),
)
