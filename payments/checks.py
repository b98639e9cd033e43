"""Checks of payments and refunds, alone and against the payment providers' own ledgers.

The provider's ledger is read between two reads of our payments, and compared with both: it must
contain what the first shows as captured, and the second must contain what is in the ledger, because
a payment is committed before the provider is called. So payments in progress cause no false alarm.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from itertools import islice
from typing import Any

import structlog
from django.db import connection
from django.db import transaction as django_transaction

from oms.core.actor import system
from oms.db.transactions import transaction
from oms.queue.leases import given_up
from oms.reconcile.checks import SHOWN, Check, Finding, Violation
from payments.gateways.base import GatewayError, LedgerEntry
from payments.gateways.registry import GATEWAYS
from payments.models import Payment, Refund
from payments.operations.retrying import retry_now

log = structlog.get_logger(__name__)

CHECKS = (
    Check(
        name="captured_as_requested",
        promise="A payment was captured with its own amount, or with an exception.",
        sql="""
            SELECT id::text AS id,
                   format('%%s of %%s, captured %%s', status, amount, captured_amount) AS detail
            FROM payments_payment AS payment
            WHERE (status = 'captured') <> (captured_amount > 0)
               OR (captured_amount NOT IN (0, amount) AND NOT EXISTS (
                   SELECT FROM exceptions_exceptionrecord AS exception
                   WHERE exception.payment_id = payment.id
                     AND exception.kind = 'captured_amount_differs'))
        """,
    ),
    Check(
        name="refunds_within_captured",
        promise="What was refunded is within what was captured.",
        # Refunds that are still open may exceed it while others refund at the provider.
        sql="""
            SELECT payment.id::text AS id,
                   format('%%s of %%s, captured %%s, refunded %%s', status, payment.amount,
                          captured_amount, refunded_amount) AS detail
            FROM payments_payment AS payment
            LEFT JOIN (
                SELECT payment_id, sum(amount) AS amount FROM payments_refund
                WHERE origin = 'shop' AND status IN ('requested', 'processing', 'unknown')
                GROUP BY payment_id
            ) AS open ON open.payment_id = payment.id
            WHERE refunded_amount < 0
               OR refunded_amount - coalesce(open.amount, 0) > captured_amount
        """,
    ),
    Check(
        name="refunded_amounts",
        promise="A payment's refunded amount is the sum of its refunds that did not fail.",
        sql="""
            SELECT payment.id::text AS id,
                   format('refunded %%s, its refunds add up to %%s', payment.refunded_amount,
                          coalesce(refunds.amount, 0)) AS detail
            FROM payments_payment AS payment
            LEFT JOIN (
                SELECT payment_id, sum(amount) AS amount
                FROM payments_refund WHERE status <> 'failed' GROUP BY payment_id
            ) AS refunds ON refunds.payment_id = payment.id
            WHERE payment.refunded_amount <> coalesce(refunds.amount, 0)
        """,
    ),
    Check(
        name="no_abandoned_payments",
        promise="Every payment and refund that is not settled will be retried.",
        sql="""
            SELECT id::text AS id,
                   format('payment %%s after %%s attempts, given up: %%s', status, attempts,
                          last_error) AS detail
            FROM payments_payment
            WHERE (status IN ('created', 'processing', 'unknown') OR wanted <> '')
              AND next_attempt_at IS NULL
            UNION ALL
            SELECT id::text,
                   format('refund %%s after %%s attempts, given up: %%s', status, attempts,
                          last_error)
            FROM payments_refund
            WHERE status IN ('requested', 'processing', 'unknown') AND next_attempt_at IS NULL
              AND origin = 'shop'
        """,
    ),
)


def retry_abandoned_payments() -> list[str]:
    """Make given-up payments due again; a sentence for each, which is logged too."""
    return _retry_abandoned(Payment)


def retry_abandoned_refunds() -> list[str]:
    """Make given-up refunds due again; a sentence for each, which is logged too."""
    return _retry_abandoned(Refund)


@transaction
def _retry_abandoned(model: type[Payment] | type[Refund]) -> list[str]:
    retried = []
    for work in given_up(model).order_by("id"):
        retry_now(actor=system("reconcile"), work=work)
        retried.append(f"{work._meta.model_name} {work.pk}: {work.status}, will be retried")
        log.info("reconcile_repaired", kind=work._meta.model_name, id=str(work.pk))
    return retried


_PROMISE = "The provider's captures and refunds equal ours."
_BATCH = 5_000

# By the key of the charge: what was captured otherwise than expected has rows of its own.
_OURS = """
    SELECT coalesce(nullif(payment.charge_key, ''), payment.id::text) AS key,
           max(payment.status) FILTER (WHERE payment.origin = 'shop') AS status,
           max(payment.amount) FILTER (WHERE payment.origin = 'shop') AS amount,
           bool_or(payment.status IN ('created', 'processing', 'unknown', 'authorized')) AS is_open,
           bool_and(payment.origin = 'shop') AS is_expected,
           coalesce(max(payment.currency) FILTER (WHERE payment.captured_amount > 0),
                    max(payment.currency)) AS currency,
           sum(payment.captured_amount) AS captured, sum(payment.refunded_amount) AS requested,
           sum(coalesce((SELECT sum(amount) FROM payments_refund AS refund
                         WHERE refund.payment_id = payment.id AND refund.status = 'succeeded'), 0))
               AS refunded
    FROM payments_payment AS payment WHERE payment.provider = %(provider)s GROUP BY 1
"""
_BEFORE = f"CREATE TEMPORARY TABLE ours_before ON COMMIT PRESERVE ROWS AS {_OURS}"
_THEIRS = """
    CREATE TEMPORARY TABLE theirs (
        key text, status text, amount numeric, currency text, captured numeric, refunded numeric)
"""
# An unknown key is a violation only if an amount was captured with it.
_COMPARE = f"""
    WITH ours AS ({_OURS}), violation AS (
        SELECT key AS id, CASE
            WHEN ours.key IS NULL AND theirs.captured > 0
                THEN format('the provider captured %%s, and we have no such payment',
                            theirs.captured)
            WHEN theirs.key IS NULL AND before.captured > 0
                THEN format('we captured %%s, and the provider has no such charge',
                            before.captured)
            WHEN theirs.captured > ours.captured AND ours.status IN ('failed', 'voided')
                THEN format('the provider captured %%s, and our payment is %%s', theirs.captured,
                            ours.status)
            WHEN before.captured > theirs.captured
                 OR (theirs.captured > ours.captured AND NOT ours.is_open)
                THEN format('we captured %%s, the provider %%s', ours.captured, theirs.captured)
            WHEN theirs.currency <> ours.currency
                 OR (theirs.amount <> ours.amount AND ours.is_expected
                     AND theirs.captured IN (0, ours.amount))
                THEN format('our payment is of %%s %%s, the provider''s of %%s %%s', ours.amount,
                            ours.currency, theirs.amount, theirs.currency)
            WHEN theirs.refunded < before.refunded
                THEN format('we refunded %%s, the provider %%s', before.refunded,
                            theirs.refunded)
            WHEN theirs.refunded > ours.requested
                THEN format('the provider refunded %%s, we requested %%s', theirs.refunded,
                            ours.requested)
        END AS detail
        FROM ours FULL JOIN theirs USING (key) LEFT JOIN ours_before AS before USING (key)
    )
    SELECT id, detail, count(*) OVER () FROM violation
    WHERE detail IS NOT NULL ORDER BY id LIMIT %(shown)s
"""  # noqa: S608  # a part of this module


def provider_findings(*, offline: bool) -> list[Finding]:
    """One finding for each provider; with `offline` one that cannot be reached is skipped."""
    return [_compare(name, offline=offline) for name in GATEWAYS if _has_payments(name)]


def _has_payments(provider: str) -> bool:
    return provider == "sandbox" or Payment.objects.filter(provider=provider).exists()


def _compare(provider: str, *, offline: bool) -> Finding:
    name, started = f"provider_{provider}", time.monotonic()
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS ours_before, theirs")
        cursor.execute(_BEFORE, {"provider": provider})
        cursor.execute(_THEIRS)
        try:
            _copy(cursor, GATEWAYS[provider].ledger())
        except GatewayError as error:
            if offline:
                return Finding(
                    name=name, promise=_PROMISE, skipped=f"{provider} is unavailable: {error}"
                )
            detail = f"is unavailable ({error}); --offline skips this"
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
        seconds=time.monotonic() - started,
    )


def _copy(cursor: Any, entries: Iterable[LedgerEntry]) -> None:
    """Put the provider's entries into `theirs`, in parts: each page is a call over the network."""
    entries = iter(entries)
    while part := list(islice(entries, _BATCH)):
        with django_transaction.atomic(), cursor.copy("COPY theirs FROM STDIN") as copy:
            for entry in part:
                charge = entry.charge
                copy.write_row(
                    (
                        *(entry.key, charge.status.value, charge.amount, charge.currency),
                        *(charge.captured_amount, charge.refunded_amount),
                    )
                )
