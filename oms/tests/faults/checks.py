"""Comparing the replies to clients with the database, the provider's ledger and the mails."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Sequence

import httpx

from oms.tests.faults.clients import Buyers, Record, Reply
from oms.tests.faults.experiments import Outcome
from oms.tests.faults.shop import Shop

# Longer than a lease and the pauses between attempts.
_SETTLE_SECONDS = 60.0

# What the workers have still to do, by kind, but for the demo shop's payments that need an hour of
# attempts; an event is unread while any consumer has not read it.
_BACKLOG = """
    SELECT 'payments', count(*) FROM payments_payment
    WHERE next_attempt_at IS NOT NULL AND created_at >= %(opened)s
    UNION ALL
    SELECT 'refunds', count(*) FROM payments_refund
    WHERE next_attempt_at IS NOT NULL AND created_at >= %(opened)s
    UNION ALL
    SELECT 'mails', count(*) FROM notifications_notification
    WHERE next_attempt_at IS NOT NULL AND created_at >= %(opened)s
    UNION ALL
    SELECT 'events', count(*) FROM events_event
    WHERE (transaction, position) > (
        SELECT transaction, position FROM events_consumeroffset
        ORDER BY transaction, position LIMIT 1
    )
"""
_EVENTS_AFTER = """
    SELECT id::text FROM events_event
    WHERE (transaction, position)
        > ALL (SELECT transaction, position FROM events_event WHERE id = %(position)s::uuid)
      AND split_part(type, '.', 1) = ANY(%(kinds)s)
      AND (%(customer)s::text IS NULL OR data->>'customer_id' = %(customer)s)
    ORDER BY transaction, position
"""


def check_everything(shop: Shop, record: Record, *, settle: float = _SETTLE_SECONDS) -> list[str]:
    """All violations: of promises to clients, of money and stock, of the shop's own invariants.

    First waits until the background work is done; that nothing of it is done for `settle` seconds
    is a violation.
    """
    return [
        *settled(shop, seconds=settle),
        *promises_kept(shop, record),
        *paid_orders_kept(shop, record),
        *mails_written(shop),
        *(reconcile(shop) if shop.compares_books else ()),
    ]


def conclude(
    outcome: Outcome, shop: Shop, buyers: Buyers, *, settle: float = _SETTLE_SECONDS
) -> Outcome:
    """Add to `outcome` what the buyers did, and all violations; `settle` as above."""
    outcome.count("orders", len(buyers.record.calls))
    if unknown := len(buyers.record.replied(Reply.UNKNOWN)):
        outcome.count("without an answer at first", unknown)
    statuses = buyers.record.statuses()
    if hanging := statuses["ReadTimeout"]:
        outcome.violations.append(f"{hanging} calls had no answer within every deadline")
    if blunt := sum(
        1 for call in buyers.record.calls if call.status == 503 and not call.retry_after
    ):
        outcome.violations.append(f"{blunt} times 503 without Retry-After")
    outcome.violations += buyers.resolve()
    outcome.violations += check_everything(shop, buyers.record, settle=settle)
    return outcome


def failed_calls(buyers: Buyers) -> list[str]:
    """Calls with a 5xx or without an answer, where nothing that they need has failed."""
    return [
        f"{number} times {status}"
        for status, number in buyers.record.statuses().items()
        if not isinstance(status, int) or status >= httpx.codes.INTERNAL_SERVER_ERROR
    ]


def backlog(shop: Shop) -> Counter[str]:
    """How many rows of each kind the workers have still to process."""
    rows = shop.rows(_BACKLOG, {"opened": shop.opened})
    return Counter({kind: number for kind, number in rows if number})


def settled(shop: Shop, *, seconds: float) -> list[str]:
    """Wait until nothing is left to process, however slow the machine is.

    The violations name what is left when for `seconds` nothing has become less.
    """
    least, since = sys.maxsize, time.monotonic()
    while left := backlog(shop):
        if left.total() < least:
            least, since = left.total(), time.monotonic()
        elif time.monotonic() - since > seconds:
            return [f"nothing was done for {seconds:g} s, and there are still {dict(left)}"]
        time.sleep(0.25)
    return []


def wait_for_background(shop: Shop, *, seconds: float) -> list[str]:
    """Wait until nothing is left to process; the violations name what is left after `seconds`."""
    until = time.monotonic() + seconds
    while left := backlog(shop):
        if time.monotonic() > until:
            return [f"after {seconds:g} s there are still {dict(left)}"]
        time.sleep(0.25)
    return []


def promises_kept(shop: Shop, record: Record) -> list[str]:
    """An acknowledged order exists once, a refused one does not, and no call made two."""
    notes = Counter(
        note
        for (note,) in shop.rows(
            "SELECT note FROM orders_order WHERE note = ANY(%s)",
            [[call.key for call in record.calls]],
        )
    )
    violations = []
    for call in record.calls:
        found = notes[call.key]
        if call.reply is Reply.OK and found != 1:
            violations.append(f"order {call.order_id} was acknowledged and exists {found} times")
        elif call.reply is Reply.REFUSED and found:
            violations.append(f"call {call.key} was refused ({call.status}), its order exists")
        elif found > 1:
            violations.append(f"call {call.key} made {found} orders")
    return violations


def paid_orders_kept(shop: Shop, record: Record) -> list[str]:
    """Every acknowledged order with a good card is paid by one charge of the provider."""
    charges = charges_of_orders(shop)
    violations = []
    for order, payment, status in shop.rows(
        """
        SELECT "order".id::text, payment.id::text, payment.status
        FROM orders_order AS "order"
        LEFT JOIN payments_payment AS payment ON payment.order_id = "order".id
        WHERE "order".id = ANY(%s::uuid[])
        """,
        [[call.order_id for call in record.replied(Reply.OK) if _has_good_card(call.body)]],
    ):
        if status != "captured":
            violations.append(f"order {order}: payment {payment} is {status}")
        elif charges[order] != 1:
            violations.append(f"order {order}: the provider charged {charges[order]} times")
    return violations


def charges_of_orders(shop: Shop) -> Counter[str]:
    """How often the provider has charged each order, by its id."""
    return Counter(
        order
        for (order,) in shop.ledger(
            "SELECT reference FROM charges WHERE status IN ('captured', 'authorized')"
        )
    )


def mails_written(shop: Shop) -> list[str]:
    """Every notification that counts as sent is among the mails."""
    # Read before the mails: another may be sent in between.
    sent = shop.rows(
        "SELECT id::text FROM notifications_notification WHERE state = 'sent'"
        " AND channel = 'email' AND created_at >= %s",
        [shop.opened],
    )
    written = "\n".join(shop.mails())
    return [
        f"notification {notification} counts as sent, and no mail has its Message-ID"
        for (notification,) in sent
        if notification not in written
    ]


def events_after(
    shop: Shop, position: str, *, kinds: Sequence[str], customer: str | None = None
) -> list[str]:
    """The ids of the events after that one, in the order of the log.

    Those of objects of these kinds, and of the customer with that id if one is named. Of no event's
    id: all of them.
    """
    values = {"position": position, "kinds": list(kinds), "customer": customer}
    return [id for (id,) in shop.rows(_EVENTS_AFTER, values)]


def wrong_events(seen: Sequence[str], *, right: Sequence[str]) -> list[str]:
    """What a follower has missed, and what it got twice or in another order."""
    violations = []
    if missed := set(right) - set(seen):
        violations.append(f"{len(missed)} of {len(right)} events missed")
    if doubled := [id for id, number in Counter(seen).items() if number > 1]:
        violations.append(f"{len(doubled)} events twice")
    if not violations and list(seen) != list(right):
        violations.append("the events are in another order")
    return violations


def reconcile(shop: Shop) -> list[str]:
    """What `manage.py reconcile` finds."""
    ended = shop.manage("reconcile", "--format", "json")
    try:
        findings = json.loads(ended.stdout)["checks"]
    except (ValueError, KeyError):
        return [f"reconcile: exit code {ended.returncode}: {(ended.stderr or ended.stdout)[-500:]}"]
    return [
        f"reconcile: {finding['name']}: {finding['violations']} violations, {finding['shown'][:2]}"
        for finding in findings
        if finding["violations"]
    ]


def _has_good_card(body: dict[str, object]) -> bool:
    payment = body.get("payment")
    return isinstance(payment, dict) and payment["token"] in {
        "tok_success",
        "tok_error_then_success",
        "tok_timeout_success",
        "tok_slow",
        "tok_duplicate_webhook",
    }
