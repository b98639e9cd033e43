"""One process of each kind killed or frozen while orders are placed."""

from __future__ import annotations

import signal
import time

from oms.tests.faults.checks import conclude
from oms.tests.faults.clients import Buyers
from oms.tests.faults.experiments import Experiment, Outcome, Size
from oms.tests.faults.processes import ShopProcess
from oms.tests.faults.shop import Shop, ShopEnded

# Until a signal has taken effect.
_EFFECT_SECONDS = 0.2
_BAR = 30.0
_WEB_WORKER_BAR = 2.0
_RATE = 10.0
# Without its supervisor nothing is replaced, however long one waits.
_CONTROL_SECONDS = 12.0

# Full size: one process after the other. Quick: several of different kinds at once.
_ONE_BY_ONE = (
    ("web",),
    ("web worker",),
    ("worker",),
    ("worker child",),
    ("payments",),
    ("payments child",),
    ("notifications",),
    ("notifications child",),
    ("beat",),
    ("provider",),
    ("valkey",),
    ("postgres backend",),
    ("postgres",),
)
_TOGETHER = (
    ("web worker", "payments child", "beat", "provider"),
    ("web", "worker child", "notifications", "postgres backend"),
    ("worker", "payments", "notifications child"),
    ("valkey",),
    ("postgres",),
)


def kill(shop: Shop, size: Size) -> Outcome:
    """`kill -9` of one process of each kind."""
    return _disturb(shop, signal.SIGKILL, size)


def freeze(shop: Shop, size: Size) -> Outcome:
    """SIGSTOP of one process of each kind."""
    return _disturb(shop, signal.SIGSTOP, size)


def kill_unsupervised(shop: Shop, size: Size) -> Outcome:
    """`kill -9` of two processes while their supervisor is frozen."""
    return _without_supervisor(shop, signal.SIGKILL)


def freeze_unsupervised(shop: Shop, size: Size) -> Outcome:
    """SIGSTOP of two processes while their supervisor is frozen too."""
    return _without_supervisor(shop, signal.SIGSTOP)


def _disturb(shop: Shop, number: signal.Signals, size: Size) -> Outcome:
    outcome, buyers = Outcome(), Buyers(shop)
    rounds = _TOGETHER if size.is_quick else _ONE_BY_ONE * 3
    with buyers.placing(shop.products(), threads=4, rate=_RATE):
        for kinds in rounds:
            # After a round that has failed some may be missing.
            present = [kind for kind in kinds if shop.processes(kind)]
            victims = [shop.processes(kind)[0] for kind in present]
            before = {kind: len(shop.processes(kind)) for kind in present}
            gone = [each for victim in victims for each in (victim, *_children(shop, victim))]
            began = time.monotonic()
            for victim in victims:
                victim.signal(number)
            outcome.count("processes", len(victims))
            try:
                if number == signal.SIGKILL and "web worker" in kinds:
                    _time_web_worker(shop, outcome, number=before["web worker"])
                _wait_until_whole(shop, outcome, gone=gone, began=began, what=", ".join(kinds))
            except ShopEnded as error:
                outcome.violations.append(f"{', '.join(kinds)}: {error}")
                shop.start()
    slowest = max(call.seconds for call in buyers.record.calls)
    outcome.notes.append(f"slowest answer {slowest:.1f} s")
    return conclude(outcome, shop, buyers)


def _without_supervisor(shop: Shop, number: signal.Signals) -> Outcome:
    outcome = Outcome()
    shop.signal_supervisor(signal.SIGSTOP)
    try:
        victims = [shop.processes(kind)[0] for kind in ("beat", "provider")]
        for victim in victims:
            victim.signal(number)
        _wait_until_whole(
            shop,
            outcome,
            gone=victims,
            began=time.monotonic(),
            what="beat, provider",
            bar=_CONTROL_SECONDS,
        )
    finally:
        shop.signal_supervisor(signal.SIGCONT)
    return outcome


def _children(shop: Shop, process: ShopProcess) -> list[ShopProcess]:
    """What must end with a main process: its workers, or the connections of PostgreSQL."""
    names = {"postgres": "postgres backend", "web": "web worker"}
    return shop.processes(names.get(process.kind, f"{process.kind} child"))


def _time_web_worker(shop: Shop, outcome: Outcome, *, number: int) -> None:
    try:
        seconds = shop.wait_until(
            lambda: len(shop.processes("web worker")) >= number,
            seconds=_BAR,
            what="the web worker is started again",
            every=0.02,
        )
    except TimeoutError as error:
        outcome.slow.append(str(error))
    else:
        outcome.notes.append(f"web worker started again after {seconds:.1f} s")
        if seconds > _WEB_WORKER_BAR:
            outcome.slow.append(
                f"web worker: started again after {seconds:.1f} s, bar {_WEB_WORKER_BAR:g} s"
            )


def _wait_until_whole(
    shop: Shop,
    outcome: Outcome,
    *,
    gone: list[ShopProcess],
    began: float,
    what: str,
    bar: float = _BAR,
) -> None:
    # A stopped process may be ended or woken: a worker that goes on is whole, too.
    def is_whole_again() -> bool:
        return not any(process.is_stopped() for process in gone) and shop.is_whole()

    time.sleep(_EFFECT_SECONDS)
    try:
        shop.wait_until(is_whole_again, seconds=bar, what="the shop is whole")
    except TimeoutError as error:
        left = [process.kind for process in gone if process.is_stopped()]
        outcome.slow.append(f"{what}: {error} {f'Still stopped: {left}' if left else ''}")
        for process in gone:
            process.signal(signal.SIGCONT)
    else:
        outcome.recovered(time.monotonic() - began, bar=bar, what=what)


EXPERIMENTS = (
    Experiment(
        name="kill -9 of any process",
        bar="whole within 30 s, web worker started within 2 s",
        run=kill,
        control=kill_unsupervised,
    ),
    Experiment(
        name="SIGSTOP of any process",
        bar="whole within 30 s",
        run=freeze,
        control=freeze_unsupervised,
    ),
)
