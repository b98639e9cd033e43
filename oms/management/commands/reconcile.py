"""The one checker of what must always hold."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console

from oms.reconcile.checks import Finding
from oms.reconcile.presentation import as_json, as_table
from oms.reconcile.repair import repair
from oms.reconcile.runner import reconcile


class Command(BaseCommand):
    """Checks every promise, and says what breaks it."""

    help = (
        "Check everything that must always hold: stock and its ledger, payments and the provider's "
        "books, statuses, totals, history, notifications. Safe on a running shop. The exit code is "
        "1 if anything does not hold."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Read how to show it, and whether to repair."""
        parser.add_argument(
            "--repair",
            action="store_true",
            help="try again what was given up (payments, refunds, events), then check; all else is "
            "for a person to judge",
        )
        parser.add_argument("--format", choices=("table", "json"), default="table")
        parser.add_argument(
            "--offline",
            action="store_true",
            help="skip a payment provider that cannot be reached, instead of reporting it",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Check, and CommandError if something does not hold."""
        is_table = options["format"] == "table"
        console = Console(highlight=False)
        repaired = repair() if options["repair"] else []
        if is_table:
            for sentence in repaired:
                console.print(f"Repaired: {sentence}", markup=False)
            with console.status("Checking …") as status:

                def show(finding: Finding) -> None:
                    status.update(f"Checked {finding.name} …")

                findings = reconcile(offline=options["offline"], done=show)
            console.print(as_table(findings))
        else:
            findings = reconcile(offline=options["offline"])
            self.stdout.write(as_json(findings, repaired=repaired))
        broken = [finding.name for finding in findings if not finding.holds]
        if broken:
            raise CommandError(
                f"{len(broken)} of {len(findings)} checks found violations: {', '.join(broken)}."
            )
        if is_table:
            skipped = sum(bool(finding.skipped) for finding in findings)
            note = f", {skipped} skipped" if skipped else ""
            console.print(f"{len(findings)} checks, no violation{note}.")
