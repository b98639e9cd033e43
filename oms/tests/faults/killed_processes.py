"""One process of each kind killed or frozen while orders are placed."""

from __future__ import annotations

import signal
import time

from oms.tests.faults.checks import check_everything
from oms.tests.faults.clients import Buyers
from oms.tests.faults.experiments import Experiment, Outcome, Size
from oms.tests.faults.processes import KINDS
from oms.tests.faults.shop import Shop

_BAR = 30.0
_RATE = 10.0


def kill(shop: Shop, size: Size) -> Outcome:
    """`kill -9` of one process of each kind."""
    return _disturb(shop, signal.SIGKILL, rounds=size.choose(quick=1, full=5))


def freeze(shop: Shop, size: Size) -> Outcome:
    """SIGSTOP of one process of each kind."""
    return _disturb(shop, signal.SIGSTOP, rounds=size.choose(quick=1, full=5))


def _disturb(shop: Shop, number: signal.Signals, *, rounds: int) -> Outcome:
    outcome, buyers = Outcome(), Buyers(shop)
    with buyers.placing(shop.products(), threads=4, rate=_RATE):
        for kind in sorted(KINDS) * rounds:
            victim = shop.processes(kind)[0]
            began = time.monotonic()
            victim.signal(number)
            outcome.count("processes")

            def is_whole_again(victim=victim) -> bool:
                return not victim.is_running() and shop.is_whole()

            try:
                shop.wait_until(is_whole_again, seconds=2 * _BAR, what=f"{kind} is replaced")
            except TimeoutError as error:
                outcome.violations.append(str(error))
                victim.signal(signal.SIGCONT)
                if not shop.is_running():
                    break
            outcome.recovered(time.monotonic() - began, bar=_BAR, what=kind)
    outcome.violations += buyers.resolve()
    outcome.violations += check_everything(shop, buyers.record)
    outcome.count("orders", len(buyers.record.calls))
    return outcome


EXPERIMENTS = (
    Experiment(name="kill -9 of any process", bar="whole within 30 s", run=kill),
    Experiment(name="SIGSTOP of any process", bar="whole within 30 s", run=freeze),
)
