"""`manage.py retry_given_up`: work without attempts left."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from oms.attention import KINDS


class Command(BaseCommand):
    """Counts what was given up, or makes the given kinds of it due again."""

    help = "Show how much work of each kind was given up; with names, retry it."

    def add_arguments(self, parser: CommandParser) -> None:
        names = [kind.name for kind in KINDS if kind.retry]
        parser.add_argument("kinds", nargs="*", metavar="kind", help=f"one of {', '.join(names)}")

    def handle(self, *args: Any, **options: Any) -> None:
        retries = {kind.name: kind.retry for kind in KINDS if kind.retry}
        if unknown := set(options["kinds"]) - set(retries):
            self.stderr.write(
                f"Not retried by this command: {', '.join(sorted(unknown))}. It retries"
                f" {', '.join(sorted(retries))}; the dashboard links to the others."
            )
            raise SystemExit(2)
        for name in options["kinds"]:
            for line in retries[name]():
                self.stdout.write(line)
        if not options["kinds"]:
            for kind in KINDS:
                self.stdout.write(f"{kind.count():>8}  {kind.name}")
