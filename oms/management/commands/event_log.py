"""The months of the event log: what there is, making them, archiving them, bringing them back."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from rich.console import Console
from rich.table import Table

from oms.core import clock
from oms.core.errors import OperationError
from oms.events.archive import ArchiveDamaged
from oms.events.archiving import archivable_months, archive_month, restore_month
from oms.events.models import ArchivedMonth
from oms.events.partitions import gather_strays, maintain_partitions, stray_events
from oms.subscriptions import CONSUMERS

# Events without a month are counted up to so many.
_MOST_COUNTED = 1_000_000
_SIZES = """
    SELECT tree.relid::regclass::text, pg_size_pretty(pg_table_size(tree.relid)),
           pg_size_pretty(pg_indexes_size(tree.relid)), greatest(reltuples, 0)::bigint
    FROM pg_partition_tree('events_event') AS tree
    JOIN pg_class ON pg_class.oid = tree.relid
    WHERE tree.isleaf ORDER BY 1
"""


class Command(BaseCommand):
    """Tends the event log and its archive."""

    help = (
        "The event log is kept by months. `status` shows them; `tend` makes those of now and the "
        "next ones, as the schedule does; `gather` moves events that had no month into theirs; "
        "`archive` writes months older than EVENT_LOG_RETENTION_MONTHS to EVENT_LOG_ARCHIVE_DIR "
        "and takes them out of the database; `restore` brings the newest archived one back."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Read what to do."""
        actions = parser.add_subparsers(dest="action", required=True)
        actions.add_parser("status")
        actions.add_parser("tend")
        actions.add_parser("gather")
        archive = actions.add_parser("archive")
        archive.add_argument("--dry-run", action="store_true", help="only say which months")
        restore = actions.add_parser("restore")
        restore.add_argument("month", type=_month, help="such as 2026-01")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it; CommandError with the reason if it cannot be done."""
        actions: Mapping[str, Callable[[dict[str, Any]], None]] = {
            "status": self._status,
            "tend": self._tend,
            "gather": self._gather,
            "archive": self._archive,
            "restore": self._restore,
        }
        try:
            actions[options["action"]](options)
        except OperationError as error:
            raise CommandError(str(error)) from error
        except (ArchiveDamaged, OSError) as error:
            raise CommandError(f"{error} Nothing was taken out of the database.") from error

    def _status(self, options: dict[str, Any]) -> None:
        table = Table("Month", "Events, about", "Table", "Indexes")
        for archived in ArchivedMonth.objects.order_by("month"):
            table.add_row(str(archived), f"{archived.rows:,}", f"archived: {archived.file}", "")
        with connection.cursor() as cursor:
            cursor.execute(_SIZES)
            for name, heap, indexes, rows in cursor.fetchall():
                month = name.removeprefix("events_event_").replace("_", "-")
                table.add_row(month, f"{rows:,}", heap, indexes)
        Console(highlight=False).print(table)
        if strays := stray_events(now=clock.now(), most=_MOST_COUNTED):
            self.stdout.write(
                f"{strays:,} events{' or more' if strays == _MOST_COUNTED else ''} have no month:"
                " run `manage.py event_log gather` when the shop is quiet."
            )

    def _tend(self, options: dict[str, Any]) -> None:
        self._say_made(maintain_partitions(now=clock.now()))

    def _gather(self, options: dict[str, Any]) -> None:
        self._say_made(gather_strays(now=clock.now()))

    def _say_made(self, months: list[date]) -> None:
        for month in months:
            self.stdout.write(f"Made {month:%Y-%m}.")

    def _archive(self, options: dict[str, Any]) -> None:
        retention = settings.EVENT_LOG_RETENTION_MONTHS
        if not retention:
            raise CommandError("EVENT_LOG_RETENTION_MONTHS is not set: the whole log is kept.")
        months = archivable_months(now=clock.now(), retention_months=retention)
        if not months:
            self.stdout.write(f"No month is older than {retention} months.")
        for month in months:
            if options["dry_run"]:
                self.stdout.write(f"Would archive {month:%Y-%m}.")
                continue
            manifest = archive_month(
                month=month,
                folder=settings.EVENT_LOG_ARCHIVE_DIR,
                consumers=[consumer.name for consumer in CONSUMERS],
            )
            self.stdout.write(f"Archived {manifest.month}: {manifest.rows:,} events.")

    def _restore(self, options: dict[str, Any]) -> None:
        manifest = restore_month(month=options["month"], folder=settings.EVENT_LOG_ARCHIVE_DIR)
        self.stdout.write(f"Restored {manifest.month}: {manifest.rows:,} events.")


def _month(text: str) -> date:
    try:
        return datetime.strptime(text, "%Y-%m").date()  # noqa: DTZ007
    except ValueError as error:
        raise ArgumentTypeError("A month looks like 2026-01.") from error
