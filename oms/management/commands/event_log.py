"""`manage.py event_log`: the months of the event log and its archive."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable, Mapping
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from rich.console import Console
from rich.table import Table

from oms.core import clock
from oms.core.errors import OperationError
from oms.events.archive import ArchiveDamaged
from oms.events.archiving import archivable_months, archive_month, verify_month
from oms.events.models import ArchivedMonth
from oms.events.partitions import maintain_partitions
from oms.events.restoring import renumber_restored_log
from oms.subscriptions import CONSUMERS

_SIZES = """
    SELECT tree.relid::regclass::text, pg_size_pretty(pg_table_size(tree.relid)),
           pg_size_pretty(pg_indexes_size(tree.relid)), greatest(reltuples, 0)::bigint
    FROM pg_partition_tree('events_event') AS tree
    JOIN pg_class ON pg_class.oid = tree.relid
    WHERE tree.isleaf ORDER BY 1
"""


class Command(BaseCommand):
    help = (
        "The event log is partitioned by month. `status` shows the months; `maintain` makes those "
        "of now and the next ones, as the schedule does; `archive` writes months older than "
        "EVENT_LOG_RETENTION_MONTHS to EVENT_LOG_ARCHIVE_DIR and drops them from the database; "
        "`verify` reads the archive's files and compares them with what was archived; "
        "`renumber` is for a dump that was restored on another server, before the shop starts."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        for name in ("status", "maintain", "verify", "renumber"):
            actions.add_parser(name)
        archive = actions.add_parser("archive")
        archive.add_argument("--dry-run", action="store_true", help="only list the months")

    def handle(self, *args: Any, **options: Any) -> None:
        actions: Mapping[str, Callable[[dict[str, Any]], None]] = {
            "status": self._status,
            "maintain": self._maintain,
            "archive": self._archive,
            "verify": self._verify,
            "renumber": self._renumber,
        }
        try:
            actions[options["action"]](options)
        except OperationError as error:
            raise CommandError(str(error)) from error
        except (ArchiveDamaged, OSError) as error:
            raise CommandError(f"{error} Nothing was dropped from the database.") from error

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

    def _maintain(self, options: dict[str, Any]) -> None:
        for month in maintain_partitions(now=clock.now()):
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

    def _verify(self, options: dict[str, Any]) -> None:
        for archived in ArchivedMonth.objects.order_by("month"):
            verify_month(archived, folder=settings.EVENT_LOG_ARCHIVE_DIR)
            self.stdout.write(f"Verified {archived}: {archived.rows:,} events.")

    def _renumber(self, options: dict[str, Any]) -> None:
        events = renumber_restored_log()
        if events is None:
            self.stdout.write("The log belongs to this server; nothing was changed.")
        else:
            self.stdout.write(f"Renumbered {events:,} events; consumers go on where they were.")
