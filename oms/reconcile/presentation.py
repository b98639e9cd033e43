"""Findings as a table and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from oms.reconcile.checks import Finding


def as_table(findings: Sequence[Finding]) -> Table:
    """One row for each check, and one for each violation that is shown."""
    table = Table(title="Reconciliation")
    table.add_column("Check")
    table.add_column("Violations", justify="right")
    table.add_column("Seconds", justify="right")
    table.add_column("Promise")
    for finding in findings:
        if finding.skipped:
            count, note = "[yellow]skipped", escape(finding.skipped)
        else:
            colour = "green" if finding.holds else "bold red"
            count, note = f"[{colour}]{finding.total}", finding.promise
        table.add_row(finding.name, count, f"{finding.seconds:.2f}", note)
        for violation in finding.violations:
            table.add_row("", "", "", escape(f"{violation.id}: {violation.detail}"), style="red")
        if finding.total > len(finding.violations):
            table.add_row("", "", "", f"… and {finding.total - len(finding.violations)} more")
    return table


def as_json(findings: Sequence[Finding], *, repaired: Sequence[str]) -> str:
    """`{"clean": bool, "checks": [{"name", "promise", "violations", "shown", …}], "repaired"}`."""
    return json.dumps(
        {
            "clean": all(finding.holds for finding in findings),
            "checks": [
                {
                    "name": finding.name,
                    "promise": finding.promise,
                    "violations": finding.total,
                    "shown": [
                        {"id": violation.id, "detail": violation.detail}
                        for violation in finding.violations
                    ],
                    "skipped": finding.skipped,
                    "seconds": round(finding.seconds, 3),
                }
                for finding in findings
            ],
            "repaired": list(repaired),
        },
        indent=2,
        ensure_ascii=False,
    )
