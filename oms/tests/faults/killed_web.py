"""Web processes killed during requests."""

from __future__ import annotations

import signal
import time

import httpx

from oms.tests.faults.checks import conclude
from oms.tests.faults.clients import Buyers, Call, Reply
from oms.tests.faults.experiments import Experiment, Outcome, Size
from oms.tests.faults.shop import Shop
from oms.tests.faults.weakening import forgotten_keys

_REPEATED = 50
_WHOLE_SECONDS = 60.0


def kill_during_requests(shop: Shop, size: Size) -> Outcome:
    """Kill one web worker after the other; then every call is settled by its key."""
    outcome, buyers = Outcome(), Buyers(shop)
    with buyers.placing(shop.products(), threads=8):
        for _ in range(size.choose(quick=3, full=20)):
            time.sleep(1.5)
            # Never both: calls to nobody would only make the list of what is unknown longer.
            shop.wait_until(shop.is_whole, seconds=_WHOLE_SECONDS, what="the shop is whole")
            shop.processes("web worker")[0].signal(signal.SIGKILL)
            outcome.count("kills")
    shop.wait_until(shop.is_whole, seconds=_WHOLE_SECONDS, what="the shop is whole")
    _repeat(shop, outcome, buyers)
    return conclude(outcome, shop, buyers)


def repeat_without_keys(shop: Shop, size: Size) -> Outcome:
    """Repeat calls whose keys the shop has forgotten."""
    outcome, buyers = Outcome(), Buyers(shop)
    with forgotten_keys(shop):
        with buyers.placing(shop.products(number=1), threads=2, rate=20):
            time.sleep(1)
        _repeat(shop, outcome, buyers)
    return conclude(outcome, shop, buyers)


def _repeat(shop: Shop, outcome: Outcome, buyers: Buyers) -> None:
    """Repeat acknowledged calls, as clients do that lost the answer: it must be the same again."""
    with httpx.Client(base_url=shop.url, timeout=20) as client:
        for call in buyers.record.replied(Reply.OK)[-_REPEATED:]:
            again = buyers.repeat(client, call)
            outcome.count("repeated")
            if not _is_same(call, again):
                outcome.violations.append(
                    f"call {call.key} made order {call.order_id}; repeated: {again.status},"
                    f" order {again.order_id}"
                )


def _is_same(call: Call, again: Call) -> bool:
    return again.reply is Reply.OK and again.order_id == call.order_id


EXPERIMENTS = (
    Experiment(
        name="kill -9 of web workers during requests",
        bar="every call settled by its key within 60 s",
        run=kill_during_requests,
        control=repeat_without_keys,
    ),
)
