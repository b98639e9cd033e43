"""Comparing our books with the payment providers' own.

The provider's ledger is read between two looks at ours, and judged by both. What was captured at
the first look must be in its ledger; what is in its ledger must be ours at the second look, for a
payment is committed before the provider is called. So payments under way give no false alarm.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from itertools import islice
from typing import Any

from django.db import connection, transaction

from oms.reconcile.checks import Finding, Violation
from oms.reconcile.snapshot import SHOWN
from payments.gateways.base import GatewayError, LedgerEntry
from payments.gateways.registry import GATEWAYS
from payments.models import Payment

_PROMISE = "The provider's captures and refunds equal ours, with one capture for an order at most."
_BATCH = 5_000

_BEFORE = """
    CREATE TEMPORARY TABLE ours_before ON COMMIT PRESERVE ROWS AS
    SELECT payment.id, payment.status, payment.captured_amount,
           coalesce((SELECT sum(amount) FROM payments_refund AS refund
                     WHERE refund.payment_id = payment.id AND refund.status = 'succeeded'), 0)
               AS refunded
    FROM payments_payment AS payment WHERE payment.provider = %s
"""
_THEIRS = """
    CREATE TEMPORARY TABLE theirs (
        key text, status text, amount numeric, currency text, captured numeric, refunded numeric)
"""
# A key that is no payment of ours matters if money was taken under it: others may share the
# provider's account, but then not this ledger.
_COMPARE = """
    WITH ours AS (
        SELECT payment.id::text AS key, payment.order_id, payment.status, payment.amount,
               payment.currency, payment.refunded_amount, before.status AS status_before,
               before.captured_amount AS captured_before, before.refunded AS refunded_before
        FROM payments_payment AS payment
        LEFT JOIN ours_before AS before ON before.id = payment.id
        WHERE payment.provider = %(provider)s
    ), violation AS (
        SELECT key AS id, CASE
            WHEN ours.key IS NULL AND theirs.captured > 0
                THEN format('the provider captured %%s, and we know of no such payment',
                            theirs.captured)
            WHEN theirs.key IS NULL AND (ours.captured_before > 0)
                THEN format('we captured %%s, and the provider knows of nothing',
                            ours.captured_before)
            WHEN theirs.captured > 0 AND ours.status IN ('failed', 'voided')
                THEN format('the provider captured %%s, and with us it is %%s', theirs.captured,
                            ours.status)
            WHEN ours.captured_before > 0 AND ours.captured_before <> theirs.captured
                THEN format('we captured %%s, the provider %%s', ours.captured_before,
                            theirs.captured)
            WHEN (theirs.amount, theirs.currency) IS DISTINCT FROM (ours.amount, ours.currency)
                 AND ours.key IS NOT NULL AND theirs.key IS NOT NULL
                THEN format('ours is of %%s %%s, the provider''s of %%s %%s', ours.amount,
                            ours.currency, theirs.amount, theirs.currency)
            WHEN theirs.refunded < ours.refunded_before
                THEN format('we refunded %%s, the provider %%s', ours.refunded_before,
                            theirs.refunded)
            WHEN theirs.refunded > ours.refunded_amount
                THEN format('the provider refunded %%s, we asked for %%s', theirs.refunded,
                            ours.refunded_amount)
        END AS detail
        FROM ours FULL JOIN theirs USING (key)
        UNION ALL
        SELECT ours.order_id::text, format('the provider captured %%s times', count(*))
        FROM ours JOIN theirs USING (key)
        WHERE theirs.captured > 0
        GROUP BY ours.order_id HAVING count(*) > 1
    )
    SELECT id, detail, count(*) OVER () FROM violation
    WHERE detail IS NOT NULL ORDER BY id LIMIT %(shown)s
"""


def provider_findings(*, offline: bool) -> list[Finding]:
    """One finding for each provider; with `offline` one that cannot be reached is skipped."""
    return [_compared(name, offline=offline) for name in GATEWAYS if _has_payments(name)]


def _has_payments(provider: str) -> bool:
    return provider == "sandbox" or Payment.objects.filter(provider=provider).exists()


def _compared(provider: str, *, offline: bool) -> Finding:
    name, began = f"provider_{provider}", time.monotonic()
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS ours_before, theirs")
        cursor.execute(_BEFORE, [provider])
        cursor.execute(_THEIRS)
        try:
            _copy(cursor, GATEWAYS[provider].ledger())
        except GatewayError as error:
            if offline:
                return Finding(
                    name=name, promise=_PROMISE, skipped=f"{provider} cannot be asked: {error}"
                )
            detail = f"cannot be asked ({error}); --offline leaves this out"
            violation = Violation(id=provider, detail=detail)
            return Finding(name=name, promise=_PROMISE, violations=(violation,), total=1)
        cursor.execute("ANALYZE theirs")
        cursor.execute("ANALYZE ours_before")
        cursor.execute(_COMPARE, {"provider": provider, "shown": SHOWN})
        rows = cursor.fetchall()
        cursor.execute("DROP TABLE ours_before, theirs")
    return Finding(
        name=name,
        promise=_PROMISE,
        violations=tuple(Violation(id=id, detail=detail) for id, detail, _ in rows),
        total=rows[0][2] if rows else 0,
        seconds=time.monotonic() - began,
    )


def _copy(cursor: Any, entries: Iterable[LedgerEntry]) -> None:
    """Put the provider's entries into `theirs`, in parts: each page is a call over the network."""
    entries = iter(entries)
    while part := list(islice(entries, _BATCH)):
        with transaction.atomic(), cursor.copy("COPY theirs FROM STDIN") as copy:
            for entry in part:
                charge = entry.charge
                copy.write_row(
                    (
                        *(entry.key, charge.status.value, charge.amount, charge.currency),
                        *(charge.captured_amount, charge.refunded_amount),
                    )
                )
