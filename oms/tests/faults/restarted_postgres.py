"""PostgreSQL restarted under load."""

from __future__ import annotations

import signal
import time

import psycopg

from oms.tests.faults.checks import check_everything, conclude
from oms.tests.faults.clients import Buyers, Reply
from oms.tests.faults.experiments import Experiment, Outcome, Size
from oms.tests.faults.shop import Shop
from oms.tests.faults.stopped_processes import LONG_RUN_SECONDS, OWN_SHOP

_BAR = 5.0
_RETURN_SECONDS = 60.0
_RATE = 20.0
# The signals of the two kinds of shutdown.
_MODES = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT}
# Commits are acknowledged up to 30 s before they are on disk.
_LOSE_COMMITS = (
    "ALTER SYSTEM SET synchronous_commit = off",
    "ALTER SYSTEM SET wal_writer_delay = '10s'",
    "SELECT pg_reload_conf()",
)
_KEEP_COMMITS = (
    "ALTER SYSTEM RESET synchronous_commit",
    "ALTER SYSTEM RESET wal_writer_delay",
    "SELECT pg_reload_conf()",
)


def restart(shop: Shop, size: Size) -> Outcome:
    """A fast and an immediate shutdown, each followed by a start, while orders are placed."""
    outcome, buyers = Outcome(), Buyers(shop)
    with buyers.placing(shop.products(), threads=6, rate=_RATE):
        for number in range(size.choose(quick=1, full=5)):
            for place, mode in enumerate(_MODES):
                time.sleep(LONG_RUN_SECONDS if number and not place else 2)
                _restart_once(shop, outcome, buyers, mode=mode)
    return conclude(outcome, shop, buyers)


def restart_without_commits(shop: Shop, size: Size) -> Outcome:
    """An immediate shutdown of a server that acknowledges commits before it has written them."""
    outcome, buyers = Outcome(), Buyers(shop)
    shop.execute(*_LOSE_COMMITS)
    with buyers.placing(shop.products(), threads=6, rate=_RATE):
        time.sleep(2)
        _restart_once(shop, outcome, buyers, mode="immediate")
    shop.execute(*_KEEP_COMMITS)
    outcome.violations = check_everything(shop, buyers.record, settle=5)
    return outcome


def _restart_once(shop: Shop, outcome: Outcome, buyers: Buyers, *, mode: str) -> None:
    [postmaster] = shop.processes("postgres")
    began = time.monotonic()
    postmaster.signal(_MODES[mode])
    outcome.count("restarts")
    try:
        shop.wait_until(
            lambda: not postmaster.is_running() and _answers(shop),
            seconds=_RETURN_SECONDS,
            what=f"PostgreSQL is back from a shutdown ({mode})",
        )
    except TimeoutError as error:
        outcome.slow.append(str(error))
        return
    returned = time.monotonic()
    outcome.notes.append(f"{mode}: away for {returned - began:.1f} s")
    time.sleep(_BAR + 3.0)
    failed = [call for call in buyers.record.replied(Reply.UNKNOWN) if call.sent > returned]
    last = max((call.sent + call.seconds for call in failed), default=returned)
    outcome.recovered(last - returned, bar=_BAR, what=f"errors after a shutdown ({mode})")
    # An answer of the server itself is not yet an order.
    accepted = [
        call.sent + call.seconds for call in buyers.record.replied(Reply.OK) if call.sent > returned
    ]
    if accepted:
        what = f"an order accepted after a shutdown ({mode})"
        outcome.recovered(min(accepted) - returned, bar=_BAR, what=what)
    else:
        outcome.violations.append(f"no order is accepted after a shutdown ({mode})")


def _answers(shop: Shop) -> bool:
    try:
        return bool(shop.value("SELECT true"))
    except psycopg.OperationalError:
        return False


EXPERIMENTS = (
    Experiment(
        name="PostgreSQL restarted fast and immediate",
        bar="acknowledged orders survive; orders accepted and no error 5 s after its return",
        run=restart,
        control=restart_without_commits,
        environment=OWN_SHOP,
    ),
)
