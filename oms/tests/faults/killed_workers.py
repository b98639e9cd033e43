"""Payments workers killed at each step of a payment."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

import httpx

from oms.tests.faults.checks import conclude
from oms.tests.faults.clients import Buyers, accepted, order_body
from oms.tests.faults.experiments import Experiment, Outcome, Size
from oms.tests.faults.shop import Shop
from oms.tests.faults.weakening import trigger

# A lease may be 20 seconds.
_BAR = 25.0
_SLOW_CHARGE_SECONDS = 3.0
_STEP_SECONDS = 10.0

# Keeps the payments worker in its COMMIT, with the outcome of a charge, for a moment.
_SLOW_COMMIT = (
    """
    CREATE OR REPLACE FUNCTION fault_slow_commit() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF current_setting('application_name') LIKE 'payments%' AND NEW.status = 'captured' THEN
            PERFORM pg_sleep(0.5);
        END IF;
        RETURN NULL;
    END $$
    """,
    "CREATE CONSTRAINT TRIGGER fault_slow_commit AFTER UPDATE ON payments_payment"
    " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fault_slow_commit()",
)
_FAST_COMMIT = ("DROP TRIGGER IF EXISTS fault_slow_commit ON payments_payment",)


def kill_at_each_step(shop: Shop, size: Size) -> Outcome:
    """Place some orders, kill the payments workers at one step of them, and wait; then the next."""
    outcome, buyers = Outcome(), Buyers(shop)
    products = shop.products()
    orders = size.choose(quick=20, full=50)
    shop.execute(*_FAST_COMMIT)
    for _ in range(size.choose(quick=1, full=4)):
        for what, step in _STEPS.items():
            _kill_at(shop, outcome, buyers, products, step=step, what=what, orders=orders)
    return conclude(outcome, shop, buyers)


def kill_with_endless_leases(shop: Shop, size: Size) -> Outcome:
    """Kill the workers after their claims, where leases do not end and no webhook arrives."""
    outcome, buyers = Outcome(), Buyers(shop)
    longer = "NEW.lease_until := NEW.lease_until + interval '1 hour';"
    refused = "RAISE EXCEPTION 'no webhooks' USING ERRCODE = 'check_violation';"
    with (
        trigger(shop, table="payments_payment", event="UPDATE", body=longer, name="lease"),
        trigger(shop, table="payments_providermessage", event="INSERT", body=refused),
    ):
        products = shop.products(number=1)
        what = "after the claim"
        _kill_at(shop, outcome, buyers, products, step=_after_claim, what=what, orders=4)
    shop.execute("UPDATE payments_payment SET lease_until = NULL WHERE lease_until IS NOT NULL")
    return outcome


def _kill_at(
    shop: Shop,
    outcome: Outcome,
    buyers: Buyers,
    products: list[str],
    *,
    step: Callable[[Shop, Buyers, list[str], int], list[str]],
    what: str,
    orders: int,
) -> None:
    bar = _BAR + (_SLOW_CHARGE_SECONDS if step in _SLOW_STEPS else 0.0)
    placed = step(shop, buyers, products, orders)
    outcome.count("kills")

    def all_are_paid() -> bool:
        query = "SELECT count(*) FROM payments_payment WHERE order_id = ANY(%s::uuid[])"
        return bool(shop.value(f"{query} AND status = 'captured'", [placed]) == len(placed))

    try:
        seconds = shop.wait_until(all_are_paid, seconds=2 * _BAR, what="all are paid", every=0.2)
    except TimeoutError as error:
        outcome.slow.append(f"{what}: {error}")
    else:
        outcome.recovered(seconds, bar=bar, what=what)


def _before_claim(shop: Shop, buyers: Buyers, products: list[str], orders: int) -> list[str]:
    for child in shop.processes("payments child"):
        child.signal(signal.SIGSTOP)
    placed = _place(shop, buyers, products, orders=orders)
    _kill(shop)
    return placed


def _after_claim(shop: Shop, buyers: Buyers, products: list[str], orders: int) -> list[str]:
    placed = _place(shop, buyers, products, orders=orders, token="tok_slow")
    _wait_for_rows(
        shop,
        "SELECT 1 FROM payments_payment WHERE order_id = ANY(%s::uuid[])"
        " AND status = 'processing' AND lease_until IS NOT NULL",
        placed,
    )
    _kill(shop)
    return placed


def _after_answer(shop: Shop, buyers: Buyers, products: list[str], orders: int) -> list[str]:
    """The rows are locked, so that neither the answer nor the webhook can be recorded."""
    placed = _place(shop, buyers, products, orders=orders, token="tok_slow")
    _wait_for_rows(
        shop,
        "SELECT 1 FROM payments_payment WHERE order_id = ANY(%s::uuid[]) AND status = 'processing'",
        placed,
    )
    with shop.connect() as connection, connection.transaction():
        connection.execute(
            "SELECT 1 FROM payments_payment WHERE order_id = ANY(%s::uuid[]) FOR UPDATE", [placed]
        )
        _wait_for_rows(
            shop,
            "SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'payments%%'"
            " AND wait_event_type = 'Lock' AND %s::uuid[] IS NOT NULL",
            placed,
        )
        _kill(shop)
    return placed


def _during_commit(shop: Shop, buyers: Buyers, products: list[str], orders: int) -> list[str]:
    shop.execute(*_SLOW_COMMIT)
    try:
        placed = _place(shop, buyers, products, orders=orders)
        _wait_for_rows(
            shop,
            "SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'payments%%'"
            " AND wait_event = 'PgSleep' AND %s::uuid[] IS NOT NULL",
            placed,
        )
        _kill(shop)
    finally:
        shop.execute(*_FAST_COMMIT)
    return placed


def _after_commit(shop: Shop, buyers: Buyers, products: list[str], orders: int) -> list[str]:
    placed = _place(shop, buyers, products, orders=orders)
    _wait_for_rows(
        shop,
        "SELECT 1 FROM payments_payment WHERE order_id = ANY(%s::uuid[]) AND status = 'captured'",
        placed,
    )
    _kill(shop)
    return placed


_STEPS = {
    "before the claim": _before_claim,
    "after the claim": _after_claim,
    "after the provider's answer": _after_answer,
    "during the commit": _during_commit,
    "after the commit": _after_commit,
}

# Those whose charges are slow.
_SLOW_STEPS = (_after_claim, _after_answer)


def _place(
    shop: Shop,
    buyers: Buyers,
    products: list[str],
    *,
    orders: int,
    token: str = "tok_success",  # noqa: S107
) -> list[str]:
    """The ids of so many new orders."""
    customer = buyers.tokens()[0]
    with httpx.Client(base_url=shop.url, timeout=20) as client:
        calls = [
            buyers.place(
                client,
                order_body((products[number % len(products)], 1), payment_token=token),
                token=customer,
            )
            for number in range(orders)
        ]
    return accepted(calls)


def _wait_for_rows(shop: Shop, query: str, orders: list[str]) -> None:
    """Wait until the query of these orders has rows; TimeoutError if it never has."""
    until = time.monotonic() + _STEP_SECONDS
    with shop.connect() as connection:
        while not connection.execute(query, [orders]).fetchone():
            if time.monotonic() > until:
                raise TimeoutError("The moment to kill the workers has never come.")
            time.sleep(0.005)


def _kill(shop: Shop) -> None:
    for child in shop.processes("payments child"):
        child.signal(signal.SIGKILL)


EXPERIMENTS = (
    Experiment(
        name="kill -9 of payments workers at each step",
        bar="0 lost or doubled, all paid within the lease (20 s) and 5 s, and 3 s of a slow charge",
        run=kill_at_each_step,
        control=kill_with_endless_leases,
    ),
)
