"""Processes that an operator has started twice, and processes whose clock jumps."""

from __future__ import annotations

import subprocess
import time
from collections import Counter
from pathlib import Path

from psutil import Process

from oms.tests.faults.checks import conclude, wait_for_background
from oms.tests.faults.clients import Buyers, order_body
from oms.tests.faults.crowd import place_many
from oms.tests.faults.experiments import Experiment, NotPossible, Outcome, Size
from oms.tests.faults.shop import Shop
from oms.tests.faults.weakening import ENVIRONMENT, each_of, trigger, without

_RATE = 15.0
_STARTED_SECONDS = 180.0
_SETTLE_SECONDS = 60.0
# Of a worker, by default.
_CHILDREN = 2
# More than a worker claims at once.
_MAILS = 150
_FAKETIME = "/usr/lib/*/faketime/libfaketimeMT.so.1"


def second_beat_and_relay(shop: Shop, size: Size) -> Outcome:
    """A second beat and a second worker of each queue beside the first, for a while."""
    outcome, buyers = Outcome(), Buyers(shop)
    sent_before = shop.message_ids()
    beside = [
        shop.start_beside(name, environment={}, options=options)
        for name, options in {
            "beat": "",
            "worker": "--hostname second-worker@%h",
            "payments": "--hostname second-payments@%h",
            "notifications": "--hostname second-notifications@%h",
        }.items()
    ]
    _wait_for_workers(shop, beside[1:])  # the first of them is no worker
    with buyers.placing(shop.products(), threads=4, rate=_RATE):
        time.sleep(size.choose(quick=6, full=60))
    conclude(outcome, shop, buyers)
    outcome.violations += _doubled(shop, sent_before, outcome)
    for process in beside:
        shop.stop_beside(process)
    return outcome


def without_leases(shop: Shop, size: Size) -> Outcome:
    """Mails that all become due at the same moment, and whose claims keep no other worker away.

    That one was sent is recorded slowly.
    """
    outcome, buyers = Outcome(), Buyers(shop)
    sent_before = shop.message_ids()
    due = shop.value("SELECT now() + interval '5 seconds'")
    no_lease = "NEW.lease_until := NULL; IF NEW.state = 'sent' THEN PERFORM pg_sleep(0.01); END IF;"
    wait = f"IF NEW.channel = 'email' THEN NEW.next_attempt_at := '{due}'; END IF;"
    table = "notifications_notification"
    with (
        trigger(shop, table=table, event="UPDATE", body=no_lease, name="lease"),
        trigger(shop, table=table, event="INSERT", body=wait),
    ):
        place_many(shop, buyers, [order_body((shop.products(number=1)[0], 1))] * _MAILS)
        conclude(outcome, shop, buyers)
    outcome.violations += _doubled(shop, sent_before, outcome)
    return outcome


def without_relay_lock(shop: Shop, size: Size) -> Outcome:
    """Relays that read the same events side by side, and rows that do not know theirs.

    Writing the rows takes a moment, in which another relay is woken. What counts are the mails of
    an order, for reconciling finds the rows without an event in any case.
    """
    outcome, buyers = Outcome(), Buyers(shop)
    body = "NEW.event_id := gen_random_uuid(); PERFORM pg_sleep(0.01);"
    table = "notifications_notification"
    with without(shop, "relay lock"), trigger(shop, table=table, event="INSERT", body=body):
        place_many(shop, buyers, [order_body((shop.products(number=1)[0], 1))] * _MAILS)
        wait_for_background(shop, seconds=_SETTLE_SECONDS)
    outcome.violations += _doubled(shop, shop.message_ids(), outcome)
    return outcome


def jumping_clocks(shop: Shop, size: Size) -> Outcome:
    """A web process and a worker of each queue, whose clocks jump there and back.

    Those of the workers by an hour, which is longer than any lease; that of the web by two minutes,
    which is shorter than the life of a token.
    """
    library = next(iter(Path("/").glob(_FAKETIME[1:])), None)
    if library is None:
        raise NotPossible("libfaketime is not installed")
    outcome = Outcome()
    jumps = {"web": 120, "worker": 3600, "payments": 3600, "notifications": 3600}
    clocks = {name: shop.folder / f"clock-{name}" for name in jumps}
    for clock in clocks.values():
        clock.write_text("+0")
    beside = []
    for name, clock in clocks.items():
        environment = {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(clock),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        if name == "web":
            environment["PORT"] = str(shop.port + 3)
        options = "" if name == "web" else f"--hostname jumping-{name}@%h"
        beside.append(shop.start_beside(name, environment=environment, options=options))
    url = f"http://127.0.0.1:{shop.port + 3}"
    shop.wait_until(
        lambda: shop.answers(url), seconds=_STARTED_SECONDS, what="the second web answers"
    )
    _wait_for_workers(shop, beside[1:])  # the first of them is no worker
    buyers = Buyers(shop, url=url)
    sent_before = shop.message_ids()
    unpaid = order_body((shop.products(number=1)[0], 1))
    del unpaid["payment"]
    waiting = place_many(shop, buyers, [unpaid] * 5)
    with buyers.placing(shop.products(), threads=4, rate=_RATE):
        for sign in ("+", "-") * size.choose(quick=1, full=5):
            for offset in (f"{sign}{{}}", "+0"):
                for name, clock in clocks.items():
                    clock.write_text(offset.format(jumps[name]))
                outcome.count("jumps", len(clocks))
                time.sleep(size.choose(quick=2, full=5))
    conclude(outcome, shop, buyers)
    outcome.violations += _doubled(shop, sent_before, outcome)
    outcome.violations += [
        f"order {order} is {status}"
        for order, status in shop.rows(
            "SELECT id::text, status FROM orders_order"
            " WHERE id = ANY(%s::uuid[]) AND status <> 'pending'",
            [[call.order_id for call in waiting]],
        )
    ]
    for process in beside:
        shop.stop_beside(process)
    return outcome


def _wait_for_workers(shop: Shop, processes: list[subprocess.Popen[bytes]]) -> None:
    """Wait until each of them has its children."""
    shop.wait_until(
        lambda: all(len(Process(each.pid).children()) >= _CHILDREN for each in processes),
        seconds=_STARTED_SECONDS,
        what="the second workers have started",
    )


def _doubled(shop: Shop, before: Counter[str], outcome: Outcome) -> list[str]:
    """Mails that were sent twice, and orders with two mails of the same kind."""
    sent = shop.message_ids() - before
    outcome.count("mails", sent.total())
    return [
        *(f"mail {each} was sent {number} times" for each, number in sent.items() if number > 1),
        *(
            f"order {order}: {number} mails {kind}"
            for order, kind, number in shop.rows(
                "SELECT order_id::text, kind, count(*) FROM notifications_notification"
                " WHERE channel = 'email' AND recipient_id IS NOT NULL"
                " AND kind IN ('order_placed', 'order_paid') GROUP BY 1, 2 HAVING count(*) > 1"
            )
        ),
    ]


EXPERIMENTS = (
    Experiment(
        name="a second beat and second workers",
        bar="every effect once",
        run=second_beat_and_relay,
        control=each_of(without_leases, without_relay_lock),
        control_environment=ENVIRONMENT,
    ),
    Experiment(
        name="clocks that jump by an hour",
        bar="every effect once, nothing expires",
        run=jumping_clocks,
    ),
)
