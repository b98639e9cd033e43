"""Mail servers that hang or refuse, and a full disk for the mail files."""

from __future__ import annotations

import contextlib
import resource
import time

import psutil

from oms.tests.faults.checks import check_everything, settled
from oms.tests.faults.clients import Buyers
from oms.tests.faults.experiments import Experiment, NotPossible, Outcome, Size
from oms.tests.faults.mail_servers import (
    OWN_MAIL_SERVER,
    HangingInbox,
    Inbox,
    mail_server,
    silent_server,
)
from oms.tests.faults.shop import Shop
from oms.tests.faults.weakening import ENVIRONMENT, without

_RATE = 8.0
# Placed, paid and confirmed, whatever happens to the mail.
_CONFIRMED_SECONDS = 10.0
# A worker that found no server tries again after half a minute.
_MAIL_BAR = 60.0


def broken_servers(shop: Shop, size: Size) -> Outcome:
    """One never greets, then none is there, one takes mail without an answer; then a good one."""
    outcome, buyers = Outcome(), Buyers(shop)
    seconds = size.choose(quick=6, full=40)
    with buyers.placing(shop.products(), threads=4, rate=_RATE):
        with silent_server(shop):
            time.sleep(seconds)
        time.sleep(seconds)
        if not size.is_quick:  # each such mail waits for a minute before its next attempt
            with mail_server(shop, HangingInbox(shop.folder / "mail")):
                time.sleep(_MAIL_BAR)
    outcome.violations += _unconfirmed(shop, buyers)
    with mail_server(shop, Inbox(shop.folder / "mail")):
        _wait_for_mail(shop, outcome, bar=_MAIL_BAR if size.is_quick else 2 * _MAIL_BAR)
        outcome.violations += buyers.resolve()
        outcome.violations += check_everything(shop, buyers.record)
    _count_mails(shop, outcome)
    return outcome


def full_disk(shop: Shop, size: Size) -> Outcome:
    """The workers that write mail can write no byte more to any file."""
    outcome, buyers = Outcome(), Buyers(shop)
    _fill_disk(shop, outcome, buyers, seconds=size.choose(quick=5, full=40))
    _wait_for_mail(shop, outcome, bar=_MAIL_BAR)
    outcome.violations += buyers.resolve()
    outcome.violations += check_everything(shop, buyers.record)
    _count_mails(shop, outcome)
    return outcome


def full_disk_without_retries(shop: Shop, size: Size) -> Outcome:
    """A mail is attempted once."""
    outcome, buyers = Outcome(), Buyers(shop)
    with without(shop, "mail retries"):
        _fill_disk(shop, outcome, buyers, seconds=5)
        outcome.violations += buyers.resolve()
        outcome.violations += settled(shop, seconds=10)
    _count_mails(shop, outcome)
    return outcome


def _fill_disk(shop: Shop, outcome: Outcome, buyers: Buyers, *, seconds: float) -> None:
    with buyers.placing(shop.products(), threads=4, rate=_RATE):
        _limit_files(shop, 0)
        time.sleep(seconds)
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
    queued = [
        id.strip("<>")
        for (id,) in shop.rows(
            "SELECT message_id FROM notifications_notification"
            " WHERE channel = 'email' AND created_at >= %s",
            [shop.opened],
        )
    ]
    sent = shop.message_ids()
    outcome.count("mails", len(queued))
    outcome.count("mails sent again", sum(1 for id in queued if sent[id] > 1))
    if missing := sum(1 for id in queued if not sent[id]):
        outcome.violations.append(f"{missing} mails never arrived")


EXPERIMENTS = (
    Experiment(
        name="full disk for mail files",
        bar="mails later, each Message-ID; orders confirmed within 10 s",
        run=full_disk,
        control=full_disk_without_retries,
        control_environment=ENVIRONMENT,
    ),
    Experiment(
        name="mail server hangs and refuses",
        bar="mails within 60 s of its return; orders confirmed within 10 s",
        run=broken_servers,
        environment=OWN_MAIL_SERVER,
    ),
)
