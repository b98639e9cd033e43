"""All checks, in the order in which they are made."""

from __future__ import annotations

from collections.abc import Callable

from inventory.checks import STOCK_CHECKS
from oms.events.checks import HEARING_CHECKS
from oms.reconcile.checks import Finding
from oms.reconcile.snapshot import findings_of
from orders.checks.history import HISTORY_CHECKS
from orders.checks.orders import ORDER_CHECKS
from payments.checks.payments import PAYMENT_CHECKS
from payments.checks.providers import provider_findings
from reports.checks import reports_finding

CHECKS = (*STOCK_CHECKS, *ORDER_CHECKS, *PAYMENT_CHECKS, *HISTORY_CHECKS, *HEARING_CHECKS)


def reconcile(
    *, offline: bool = False, done: Callable[[Finding], None] = lambda finding: None
) -> list[Finding]:
    """Make every check; `done` is called with each finding as soon as it is there.

    With `offline` a payment provider that cannot be reached is skipped instead of reported.
    """
    findings = findings_of(CHECKS, done=done)
    for finding in (reports_finding(), *provider_findings(offline=offline)):
        done(finding)
        findings.append(finding)
    return findings
