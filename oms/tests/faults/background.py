"""Background work beside rows that always fail, and beside an open transaction."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager

import psycopg

from oms.tests.faults.checks import check_everything
from oms.tests.faults.clients import Buyers, accepted, order_body
from oms.tests.faults.crowd import place_many
from oms.tests.faults.experiments import Experiment, Outcome, Size
from oms.tests.faults.shop import Shop
from oms.tests.faults.weakening import ENVIRONMENT, trigger, without

_GOOD = 100
_GOOD_SECONDS = 20.0
# Units of the orders that fail, and so their totals: of 9.90 each.
_BAD_PAYMENT, _BAD_EVENT, _BAD_MAIL = 7, 8, 9
_FAILS = "RAISE EXCEPTION 'this row always fails' USING ERRCODE = 'check_violation';"

# Of each order what its customer gets, by kind.
_MAILS = """
    SELECT o.id::text, o.status, count(n.id) FILTER (WHERE n.kind = 'order_placed'),
           count(n.id) FILTER (WHERE n.kind = 'order_paid')
    FROM orders_order AS o
    LEFT JOIN notifications_notification AS n ON n.order_id = o.id AND n.channel = 'email'
        AND n.recipient_id = o.customer_id AND n.state = 'sent'
    WHERE o.id = ANY(%s::uuid[]) GROUP BY o.id
"""


def bad_rows(shop: Shop, size: Size) -> Outcome:
    """A payment, an event and a mail that fail at every attempt, beside 100 good orders."""
    outcome, buyers = Outcome(), Buyers(shop)
    [product] = shop.products(number=1)
    with _bad_rows(shop):
        for _ in range(size.choose(quick=1, full=5)):
            _place_beside_bad_rows(shop, outcome, buyers, product)
        outcome.violations += _not_shown(shop)
    # As if the pauses before the next attempts had passed.
    with shop.connect() as connection:
        connection.execute(
            "UPDATE notifications_notification SET next_attempt_at = now(), subject = 'Your order'"
            " WHERE subject LIKE E'%%\\n%%'"
        )
        connection.execute(
            "UPDATE payments_payment SET next_attempt_at = now(), lease_until = NULL"
            " WHERE next_attempt_at IS NOT NULL AND created_at >= %s",
            [shop.opened],
        )
        connection.execute("UPDATE events_parkedevent SET next_attempt_at = now()")
    shop.wait_until(
        lambda: not shop.value("SELECT count(*) FROM events_parkedevent"),
        seconds=60,
        what="the failed events are handled",
    )
    outcome.violations += check_everything(shop, buyers.record)
    outcome.violations += unfinished(shop, accepted(buyers.record.calls))
    return outcome


def bad_rows_with_others(shop: Shop, size: Size) -> Outcome:
    """An event that fails takes the others of its batch with it, again and again."""
    outcome, buyers = Outcome(), Buyers(shop)
    [product] = shop.products(number=1)
    with without(shop, "isolation"), _bad_rows(shop):
        _place_beside_bad_rows(shop, outcome, buyers, product)
    return outcome


def _place_beside_bad_rows(shop: Shop, outcome: Outcome, buyers: Buyers, product: str) -> None:
    bad = [order_body((product, units)) for units in (_BAD_PAYMENT, _BAD_EVENT, _BAD_MAIL)]
    wrong = place_many(shop, buyers, bad)
    good = place_many(shop, buyers, [order_body((product, 1))] * _GOOD)
    ids = accepted(good)
    try:
        seconds = shop.wait_until(
            lambda: not unfinished(shop, ids),
            seconds=3 * _GOOD_SECONDS,
            what="the good orders are paid and announced",
        )
    except TimeoutError as error:
        outcome.violations += [str(error), *unfinished(shop, ids)[:5]]
    else:
        outcome.recovered(seconds, bar=_GOOD_SECONDS, what="the good ones")
    outcome.count("good orders", len(good))
    outcome.count("bad rows", len(wrong))


@contextmanager
def _bad_rows(shop: Shop) -> Iterator[None]:
    with ExitStack() as stack:
        for name, table, event, body in (
            (
                "payment",
                "payments_payment",
                "UPDATE",
                f"IF NEW.amount = {_BAD_PAYMENT * 9.9:.2f} AND NEW.status = 'captured'"
                f" THEN {_FAILS} END IF;",
            ),
            (
                "event",
                "orders_order",
                "UPDATE",
                f"IF NEW.total = {_BAD_EVENT * 9.9:.2f} AND NEW.status = 'confirmed' THEN {_FAILS}"
                " END IF;",
            ),
            (
                "mail",
                "notifications_notification",
                "INSERT",
                "IF EXISTS (SELECT FROM orders_order"  # numbers
                f" WHERE id = NEW.order_id AND total = {_BAD_MAIL * 9.9:.2f})"
                " THEN NEW.subject := E'two\\nlines'; END IF;",
            ),
        ):
            stack.enter_context(trigger(shop, table=table, event=event, body=body, name=name))
        yield


def unfinished(shop: Shop, ids: Collection[str]) -> list[str]:
    """The orders that are not paid, confirmed and announced, each once."""
    return [
        f"order {order} is {status}, {placed} mails that it was placed, {paid} that it was paid"
        for order, status, placed, paid in shop.rows(_MAILS, [list(ids)])
        if (status, placed, paid) != ("confirmed", 1, 1)
    ]


def _not_shown(shop: Shop) -> list[str]:
    """What fails must be seen: its row keeps the error and its next attempt, or its end."""
    counts: Counter[str] = Counter(
        kind
        for (kind,) in shop.rows(
            """
            SELECT 'payment' FROM payments_payment
            WHERE last_error <> '' AND created_at >= %(opened)s
            UNION ALL SELECT 'event' FROM events_parkedevent WHERE last_error <> ''
            UNION ALL SELECT 'mail' FROM notifications_notification
            WHERE last_error <> '' AND state IN ('failed', 'dead') AND created_at >= %(opened)s
            """,
            {"opened": shop.opened},
        )
    )
    return [
        f"the {kind} that fails is not recorded as such"
        for kind in ("payment", "event", "mail")
        if not counts[kind]
    ]


def open_transaction(shop: Shop, size: Size) -> Outcome:
    """Another session leaves a transaction open, while orders are paid and their time runs out."""
    outcome, buyers = Outcome(), Buyers(shop)
    ids = _leave_open(shop, outcome, buyers, seconds=size.choose(quick=20, full=75))
    outcome.violations += check_everything(shop, buyers.record)
    outcome.violations += unfinished(shop, ids)
    return outcome


def open_transaction_expires_all(shop: Shop, size: Size) -> Outcome:
    """What is on its way to be paid expires like anything else."""
    outcome = Outcome()
    with without(shop, "payments in progress"):
        _leave_open(shop, outcome, Buyers(shop), seconds=20)
    return outcome


def _leave_open(shop: Shop, outcome: Outcome, buyers: Buyers, *, seconds: float) -> list[str]:
    """Leave a transaction open for so long; the ids of the orders that are paid meanwhile."""
    connection = shop.connect()
    connection.execute("BEGIN")
    connection.execute("SELECT pg_current_xact_id()")
    products = shop.products()
    placed = place_many(shop, buyers, [order_body((one, 1)) for one in products * 3])
    ids = accepted(placed)
    outcome.count("orders", len(ids))
    captured = (
        "SELECT count(*) FROM payments_payment WHERE order_id = ANY(%s::uuid[])"
        " AND status = 'captured'"
    )
    shop.wait_until(
        lambda: shop.value(captured, [ids]) == len(ids), seconds=30, what="the payments are made"
    )
    with shop.connect() as clock:
        # As if two hours had passed; orders are looked through every 15 seconds.
        clock.execute(
            "UPDATE orders_order SET expires_at = expires_at - interval '2 hours'"
            " WHERE id = ANY(%s::uuid[])",
            [ids],
        )
    time.sleep(seconds)
    expired = shop.value(
        "SELECT count(*) FROM events_event WHERE object_id = ANY(%s::uuid[])"
        " AND type = 'order.expired'",
        [ids],
    )
    if expired:
        outcome.violations.append(f"{expired} paid orders expired")
    try:
        connection.execute("COMMIT")
    except psycopg.Error as error:
        outcome.notes.append(f"the session was ended: {str(error).splitlines()[0]}")
    connection.close()
    return ids


EXPERIMENTS = (
    Experiment(
        name="rows that always fail",
        bar="100 good orders beside them within 20 s; the bad are shown, and mended by a retry",
        run=bad_rows,
        control=bad_rows_with_others,
        control_environment=ENVIRONMENT,
    ),
    Experiment(
        name="an open transaction",
        bar="no paid order expires",
        run=open_transaction,
        control=open_transaction_expires_all,
        control_environment=ENVIRONMENT,
    ),
)
