"""The table of checks that `manage.py reconcile` runs, and of what it can repair."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from inventory.checks import CHECKS as INVENTORY_CHECKS
from notifications.checks import notification_checks
from oms.core.actor import SEED_REQUEST_ID
from oms.events.checks import consumer_checks
from oms.events.dead_letters import retry_dead_letters
from oms.reconcile.checks import Finding
from oms.reconcile.runner import run_checks
from oms.subscriptions import CONSUMERS
from orders.checks import CHECKS as ORDER_CHECKS
from payments.checks import CHECKS as PAYMENT_CHECKS
from payments.checks import (
    provider_findings,
    retry_abandoned_payments,
    retry_abandoned_refunds,
)
from payments.operations.importing import import_from_providers
from reports.checks import REPORT_CHECKS, report_finding

CHECKS = (
    *INVENTORY_CHECKS,
    *ORDER_CHECKS,
    *PAYMENT_CHECKS,
    *consumer_checks([consumer.name for consumer in CONSUMERS]),
    # Older seeded events have no notifications.
    *notification_checks(unsent_request_id=SEED_REQUEST_ID),
    *REPORT_CHECKS,
)


def reconcile(
    *, offline: bool = False, on_finding: Callable[[Finding], None] = lambda finding: None
) -> list[Finding]:
    """Run every check; `on_finding` is called with each finding as soon as it is available.

    With `offline` a payment provider that cannot be reached is skipped instead of reported.
    """
    findings = []
    for finding in _findings(offline):
        on_finding(finding)
        findings.append(finding)
    return findings


def _findings(offline: bool) -> Iterator[Finding]:
    yield from run_checks(CHECKS)
    yield report_finding()
    yield from provider_findings(offline=offline)


def repair() -> list[str]:
    """Import what the providers have and we have not, retry what was given up; a sentence for each.

    Each is idempotent: what was captured or refunded at a provider has happened, the provider is
    called with the payment's key, and no part of a dead letter took effect. Everything else is left
    to staff: where balances, statuses or ledgers disagree it is unknown which side is right, and a
    repair would hide the bug.
    """
    return [
        *import_from_providers(),
        *retry_abandoned_payments(),
        *retry_abandoned_refunds(),
        *retry_dead_letters(),
    ]
