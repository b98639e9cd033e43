"""A deploy: the schema changes and the web is replaced while orders are placed."""

from __future__ import annotations

import signal
import threading
import time

import psycopg

from oms.tests.faults.checks import conclude, failed_calls
from oms.tests.faults.clients import Buyers
from oms.tests.faults.experiments import Experiment, Outcome, Size
from oms.tests.faults.shop import Shop
from oms.tests.faults.stopped_processes import LONG_RUN_SECONDS, OWN_SHOP

_LOCK_BAR = 1.0
_RATE = 30.0
_STARTED_SECONDS = 180.0
_TABLES = ("orders_order", "payments_payment", "inventory_stocklevel")


def deploy(shop: Shop, size: Size) -> Outcome:
    """Online changes of the tables, a new web beside the old one, then the old one ends."""
    outcome, rate = Outcome(), size.choose(quick=15, full=30)
    old, new = Buyers(shop), Buyers(shop, url=f"http://127.0.0.1:{shop.port + 3}")
    products = shop.products()
    for number in range(size.choose(quick=1, full=5)):
        if number and number % 3 == 0:
            time.sleep(LONG_RUN_SECONDS)
        with old.placing(products, threads=4, rate=rate):
            for table in _TABLES:
                _change_online(shop, outcome, table)
            web = shop.start_beside("web", environment={"PORT": str(shop.port + 3)})
            shop.wait_until(
                lambda: shop.answers(f"http://127.0.0.1:{shop.port + 3}"),
                seconds=_STARTED_SECONDS,
                what="the new web answers",
            )
            with new.placing(products, threads=4, rate=rate):
                time.sleep(2)
        with new.placing(products, threads=4, rate=rate):
            _replace_web(shop)
        shop.stop_beside(web)
        outcome.count("deploys")
    for buyers in (old, new):
        outcome.violations += failed_calls(buyers)
        slowest = max(call.seconds for call in buyers.record.calls)
        outcome.notes.append(f"slowest answer {slowest:.2f} s")
        conclude(outcome, shop, buyers)
    return outcome


def _replace_web(shop: Shop) -> None:
    [main] = shop.processes("web")
    main.signal(signal.SIGTERM)
    shop.wait_until(
        lambda: not main.is_running() and shop.is_whole(),
        seconds=_STARTED_SECONDS,
        what="the old web is replaced",
    )


def deploy_offline(shop: Shop, size: Size) -> Outcome:
    """A change that holds the lock of a table for longer than a moment."""
    outcome, buyers = Outcome(), Buyers(shop)
    with (
        buyers.placing(shop.products(number=1), threads=4, rate=_RATE),
        _LongestWait(shop) as longest,
        shop.connect() as connection,
        connection.transaction(),
    ):
        time.sleep(1)
        connection.execute("LOCK TABLE orders_order IN ACCESS EXCLUSIVE MODE")
        time.sleep(2 * _LOCK_BAR)
    outcome.violations += longest.violations("orders_order")
    return conclude(outcome, shop, buyers)


def _change_online(shop: Shop, outcome: Outcome, table: str) -> None:
    """What a migration does: a column, an index and a constraint, and all of it back."""
    with _LongestWait(shop) as longest:
        for statement in (
            "ALTER TABLE {} ADD COLUMN fault_column integer",
            "CREATE INDEX CONCURRENTLY IF NOT EXISTS fault_index_{} ON {} (fault_column)",
            "ALTER TABLE {} ADD CONSTRAINT fault_check CHECK (fault_column > 0) NOT VALID",
            "ALTER TABLE {} VALIDATE CONSTRAINT fault_check",
            "ALTER TABLE {} DROP CONSTRAINT fault_check",
            "DROP INDEX CONCURRENTLY fault_index_{}",
            "ALTER TABLE {} DROP COLUMN fault_column",
        ):
            _execute_patiently(shop, statement.format(table, table))
            outcome.count("statements")
    outcome.violations += longest.violations(table)


def _execute_patiently(shop: Shop, statement: str) -> None:
    """Try again what does not get its lock in time: who waits for a lock holds up others."""
    for _ in range(50):
        try:
            with shop.connect() as connection:
                connection.execute("SET lock_timeout = '300ms'")
                connection.execute(statement)
        except psycopg.errors.LockNotAvailable:
            time.sleep(0.2)
        else:
            return
    raise TimeoutError(f"No lock for: {statement}")


class _LongestWait:
    """Measures for how long anybody waits for a lock of a table; a context manager."""

    def __init__(self, shop: Shop) -> None:
        self._shop, self._stop, self._seconds = shop, threading.Event(), 0.0
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> _LongestWait:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        self._thread.join()

    def violations(self, table: str) -> list[str]:
        if self._seconds <= _LOCK_BAR:
            return []
        return [f"{table}: waited {self._seconds:.1f} s for a lock of the table"]

    def _watch(self) -> None:
        with self._shop.connect() as connection:
            while not self._stop.wait(0.05):
                [(seconds,)] = connection.execute(
                    """
                    SELECT coalesce(max(extract(epoch FROM clock_timestamp() - lock.waitstart)), 0)
                    FROM pg_locks AS lock JOIN pg_stat_activity AS client USING (pid)
                    WHERE NOT lock.granted AND lock.locktype = 'relation'
                      AND client.application_name <> ''
                    """
                ).fetchall()
                self._seconds = max(self._seconds, float(seconds))


EXPERIMENTS = (
    Experiment(
        name="a deploy under load",
        bar="no lock of a table over 1 s, no failed request",
        run=deploy,
        control=deploy_offline,
        environment=OWN_SHOP,
    ),
)
