"""All checks, in the order in which they are made."""

from __future__ import annotations

from collections.abc import Callable

from oms.management.reconciling.checks import Finding
from oms.management.reconciling.hearing import HEARING_CHECKS
from oms.management.reconciling.history import HISTORY_CHECKS
from oms.management.reconciling.orders import ORDER_CHECKS
from oms.management.reconciling.payments import PAYMENT_CHECKS
from oms.management.reconciling.providers import provider_findings
from oms.management.reconciling.reports import reports_finding
from oms.management.reconciling.snapshots import findings_of
from oms.management.reconciling.stock import STOCK_CHECKS

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
