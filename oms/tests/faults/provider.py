"""A payment provider with faults, and one that is away for a while."""

from __future__ import annotations

import signal
import subprocess
import time

import httpx

from oms.tests.faults.checks import charges_of_orders, check_everything, wait_for_background
from oms.tests.faults.clients import Buyers, accepted, order_body
from oms.tests.faults.crowd import place_many
from oms.tests.faults.experiments import Experiment, Outcome, Size
from oms.tests.faults.order_checks import unsound
from oms.tests.faults.shop import Shop
from oms.tests.faults.weakening import ENVIRONMENT as WEAKENED
from oms.tests.faults.weakening import without

# The provider is a process of the experiment, so nobody else starts it again.
_ENVIRONMENT = (("SANDBOX_PROVIDER_URL", "http://127.0.0.1:PORT+1"),)
# A share of the writes is slow, fails, is done without an answer, or is reported twice.
_FAULTS = "--fault-rate 0.3 --slow-seconds 2"
# Its webhook comes first: the answer never does.
_WEBHOOK_FIRST = "tok_timeout_success"

_RATE = 28.0
_BACKLOG_RATE = _RATE / 2
# Fresh payments during the backlog: A few batches, not the backlog before them.
_FRESH_SECONDS = 5.0

_WAITS = """
    SELECT count(*), coalesce(max(extract(epoch FROM captured_at - %(until)s)), 0)::float8,
           coalesce(percentile_cont(0.95) WITHIN GROUP (
               ORDER BY extract(epoch FROM captured_at - created_at)), 0)::float8
    FROM payments_payment
    WHERE created_at >= %(since)s AND created_at < %(until)s AND status = 'captured'
"""


def faults(shop: Shop, size: Size) -> Outcome:
    """30 % of all calls of the provider go wrong."""
    outcome, buyers = _pay_with_faults(shop, number=size.choose(quick=200, full=10_000))
    outcome.violations += check_everything(shop, buyers.record)
    return outcome


def faults_without_keys(shop: Shop, size: Size) -> Outcome:
    _start(shop, _FAULTS)
    with without(shop, "charge key"):
        return _pay_with_faults(shop, number=100, settle=30)[0]


def _pay_with_faults(
    shop: Shop, *, number: int, settle: float | None = None
) -> tuple[Outcome, Buyers]:
    outcome, buyers = Outcome(), Buyers(shop)
    _start(shop, _FAULTS)
    products = shop.products()
    bodies = [order_body((products[one % len(products)], 1)) for one in range(number)]
    for one in bodies[::20]:
        one["payment"]["token"] = _WEBHOOK_FIRST
    placed = place_many(shop, buyers, bodies)
    outcome.count("payments", len(placed))
    left = wait_for_background(shop, seconds=settle or 90 + number / 20)
    outcome.violations += left
    ids = accepted(placed)
    outcome.violations += unsound(shop, ids)
    charges = charges_of_orders(shop)
    outcome.violations += [
        f"order {order} was charged {charges[order]} times" for order in ids if charges[order] != 1
    ]
    [(tries,)] = shop.ledger("SELECT coalesce(sum(count), 0) FROM tries WHERE kind = 'charge'")
    outcome.count("attempts", tries)
    return outcome, buyers


def away(shop: Shop, size: Size) -> Outcome:
    """The provider is killed, and comes again 30 seconds later, while orders are placed."""
    outcome, buyers = Outcome(), Buyers(shop)
    seconds = size.choose(quick=10, full=30)
    provider = _start(shop, "")
    with buyers.placing(shop.products(), threads=8, rate=_RATE):
        time.sleep(3)
        provider.send_signal(signal.SIGKILL)
        gone = shop.value("SELECT clock_timestamp()")
        time.sleep(seconds)
        back = shop.value("SELECT clock_timestamp()")
        _start(shop, "")
        began = time.monotonic()
        waiting = _waiting(shop, since=gone, until=back)
        shop.wait_until(
            lambda: not _waiting(shop, since=gone, until=back), seconds=300, what="no more waits"
        )
        # What was placed meanwhile is to be paid too.
        time.sleep(_FRESH_SECONDS)
        end = shop.value("SELECT clock_timestamp()")
    outcome.violations += buyers.resolve()
    outcome.violations += check_everything(shop, buyers.record)
    outcome.count("orders", len(buyers.record.calls))
    outcome.count("waiting", waiting)
    [(_, last, _)] = shop.rows(_WAITS, {"since": gone, "until": back})
    outcome.recovered(last, bar=max(5.0, waiting / _BACKLOG_RATE), what="the backlog")
    [(fresh, _, wait)] = shop.rows(_WAITS, {"since": back, "until": end})
    outcome.notes.append(
        f"backlog {waiting / max(last, 0.1):.0f} a second; {fresh} fresh ones, p95 {wait:.1f} s"
        f" after {time.monotonic() - began:.0f} s"
    )
    if wait > _FRESH_SECONDS:
        outcome.slow.append(f"fresh payments waited {wait:.1f} s, bar {_FRESH_SECONDS:g} s")
    return outcome


def _waiting(shop: Shop, *, since: object, until: object) -> int:
    number: int = shop.value(
        "SELECT count(*) FROM payments_payment"
        " WHERE created_at >= %s AND created_at < %s AND status <> 'captured'",
        [since, until],
    )
    return number


def _start(shop: Shop, options: str) -> subprocess.Popen[bytes]:
    """The provider with these options, in place of the one before."""
    for process in list(shop.beside):
        shop.stop_beside(process)
    process = shop.start_beside("provider", environment={}, options=options)
    url = shop.environment["SANDBOX_PROVIDER_URL"]

    def answers() -> bool:
        try:
            return httpx.get(f"{url}/health", timeout=1).is_success
        except httpx.TransportError:
            return False

    shop.wait_until(answers, seconds=60, what="the provider answers")
    return process


EXPERIMENTS = (
    Experiment(
        name="provider with 30 % faults",
        bar="one charge each, none left unknown",
        run=faults,
        control=faults_without_keys,
        environment=_ENVIRONMENT,
        control_environment=WEAKENED,
        is_heavy=True,
    ),
    Experiment(
        name="provider away at 28 orders/s",
        bar="backlog at 14/s or more, fresh p95 within 5 s",
        run=away,
        environment=_ENVIRONMENT,
        needs_quiet=True,
    ),
)
