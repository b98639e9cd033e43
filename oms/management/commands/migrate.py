"""`manage.py migrate`, for as long as it takes."""

from __future__ import annotations

from typing import Any

from django.core.management.commands import migrate
from django.db import connections


class Command(migrate.Command):
    """Django's command, whose statements may rewrite or index large tables.

    They still wait for locks no longer than others do.
    """

    def handle(self, *args: Any, **options: Any) -> None:
        """Migrate without DB_STATEMENT_TIMEOUT_MS."""
        connection = connections[options["database"]]
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = 0")
        try:
            super().handle(*args, **options)
        finally:
            with connection.cursor() as cursor:
                cursor.execute("RESET statement_timeout")
