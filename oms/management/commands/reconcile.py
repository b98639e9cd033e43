"""`manage.py reconcile`: check everything that must always hold."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console

from oms.checks import reconcile, repair
from oms.reconcile.checks import Finding
from oms.reconcile.presentation import as_json, as_table


class Command(BaseCommand):
    help = (
        "Check everything that must always hold: stock and its ledger, payments and the provider's "
        "ledger, statuses, totals, history, notifications. Safe on a running shop. The exit code "
        "is 1 if there are violations."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--repair",
            action="store_true",
            help="first record the captures, refunds and disputes that only the payment providers "
            "have, and retry what was given up (payments, refunds, dead letters); everything else "
            "is left to a person",
        )
        parser.add_argument("--format", choices=("table", "json"), default="table")
        parser.add_argument(
            "--offline",
            action="store_true",
            help="skip a payment provider that cannot be reached instead of reporting it",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        is_table = options["format"] == "table"
        console = Console(highlight=False)
        repaired = repair() if options["repair"] else []
        if is_table:
            for sentence in repaired:
                console.print(f"Repaired: {sentence}", markup=False)
            with console.status("Checking …") as status:

                def show(finding: Finding) -> None:
                    status.update(f"Checked {finding.name} …")

                findings = reconcile(offline=options["offline"], on_finding=show)
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
            console.print(f"{len(findings)} checks, no violations{note}.")
