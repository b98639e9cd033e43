"""Workers killed while they send mails."""

from __future__ import annotations

import signal
import time

from oms.tests.faults.checks import check_everything
from oms.tests.faults.clients import Buyers, order_body
from oms.tests.faults.crowd import place_many
from oms.tests.faults.experiments import Experiment, Outcome, Size
from oms.tests.faults.mail_servers import OWN_MAIL_SERVER, Inbox, mail_server
from oms.tests.faults.shop import Shop
from oms.tests.faults.weakening import trigger

_MAIL_SECONDS = 0.02
# Sent mails are recorded four times a second: as many may be sent again by each of the workers.
_UNRECORDED_SECONDS = 0.25
_WORKERS = 2
# In the midst of the first batch, which is a hundred.
_KILLED_AFTER = 40
_MOMENT_SECONDS = 30.0
# A lease of 16 seconds; then one mail of a killed worker with each batch, five a second.
_BAR = 60.0
_TABLE = "notifications_notification"
_WAIT = "IF NEW.channel = 'email' THEN NEW.next_attempt_at := 'infinity'; END IF;"
_ALL_DUE = f"UPDATE {_TABLE} SET next_attempt_at = now() WHERE next_attempt_at = 'infinity'"  # noqa: S608
_LONGER = "NEW.lease_until := NEW.lease_until + interval '1 hour';"


def kill_in_a_batch(shop: Shop, size: Size) -> Outcome:
    """Many mails become due at once, and all who send them are killed in the midst of it."""
    outcome, buyers = Outcome(), Buyers(shop)
    orders = size.choose(quick=70, full=120)
    for _ in range(size.choose(quick=1, full=5)):
        _kill_once(shop, outcome, buyers, orders=orders)
    outcome.violations += check_everything(shop, buyers.record)
    return outcome


def kill_with_endless_leases(shop: Shop, size: Size) -> Outcome:
    """What a killed worker has claimed remains its own."""
    outcome = Outcome()
    with trigger(shop, table=_TABLE, event="UPDATE", body=_LONGER, name="lease"):
        _kill_once(shop, outcome, Buyers(shop), orders=70)
    shop.execute(f"UPDATE {_TABLE} SET lease_until = now() WHERE lease_until IS NOT NULL")  # noqa: S608
    return outcome


def _kill_once(shop: Shop, outcome: Outcome, buyers: Buyers, *, orders: int) -> None:
    """Of each order there are two mails."""
    inbox = Inbox(shop.folder / "mail", seconds=_MAIL_SECONDS)
    with mail_server(shop, inbox):
        with trigger(shop, table=_TABLE, event="INSERT", body=_WAIT, name="mail"):
            bodies = [order_body((shop.products(number=1)[0], 1))] * orders
            place_many(shop, buyers, bodies)
            shop.wait_until(
                lambda: len(_waiting(shop)) >= 2 * orders,
                seconds=_MOMENT_SECONDS,
                what="all orders are paid and their mails wait",
            )
        mails = _waiting(shop)
        shop.execute(_ALL_DUE)
        shop.wait_until(
            lambda: inbox.received.total() >= _KILLED_AFTER,
            seconds=_MOMENT_SECONDS,
            what="the mails are being sent",
            every=0.01,
        )
        [main] = shop.processes("notifications")
        main.signal(
            signal.SIGSTOP
        )  # or it would start others before it is seen what they have left
        for worker in shop.processes("notifications child"):
            worker.signal(signal.SIGKILL)
        killed = time.monotonic()
        outcome.count("kills")
        time.sleep(10 * _MAIL_SECONDS)  # what was being sent arrives
        left = set(_waiting(shop))
        recorded = set(mails) - left
        outcome.violations += _left_by(set(inbox.received), recorded=recorded, number=len(mails))
        main.signal(signal.SIGCONT)
        try:
            shop.wait_until(
                lambda: inbox.received.keys() >= left and left.isdisjoint(_waiting(shop)),
                seconds=2 * _BAR,
                what="all mails are sent",
            )
        except TimeoutError as error:
            left -= inbox.received.keys()
            outcome.violations.append(f"{error} {len(left)} of {len(mails)} are not sent")
        else:
            outcome.recovered(time.monotonic() - killed, bar=_BAR, what="mails")
    again = [id for id in mails if inbox.received[id] > 1]
    outcome.count("mails", len(mails))
    outcome.count("mails sent again", len(again))
    if wrong := [id for id in again if id in recorded or inbox.received[id] > 2]:
        outcome.violations.append(f"{len(wrong)} mails sent again that were recorded, or twice")


def _waiting(shop: Shop) -> list[str]:
    """The Message-IDs of the mails that are not recorded as sent."""
    rows = shop.rows(
        f"SELECT message_id FROM {_TABLE}"  # noqa: S608
        " WHERE channel = 'email' AND state <> 'sent' AND created_at >= %s",
        [shop.opened],
    )
    return [id.strip("<>") for (id,) in rows]


def _left_by(sent: set[str], *, recorded: set[str], number: int) -> list[str]:
    """Whether the workers were killed in a batch, and how much they had not recorded."""
    if not len(recorded) < len(sent) < number:
        return [f"no kill in a batch: {len(sent)} of {number} sent, {len(recorded)} recorded"]
    unrecorded = len(sent - recorded)
    most = _WORKERS * (_UNRECORDED_SECONDS / _MAIL_SECONDS + 2)
    if unrecorded > most:
        return [f"{unrecorded} mails were sent and not recorded, bar {most:.0f}"]
    return []


EXPERIMENTS = (
    Experiment(
        name="kill -9 of workers that send mails",
        bar="all sent within 60 s; only what was sent in the last quarter of a"
        " second is sent again, once",
        run=kill_in_a_batch,
        control=kill_with_endless_leases,
        environment=OWN_MAIL_SERVER,
    ),
)
