"""`manage.py migrate` beside running processes: short waits for locks, no statement timeout."""

from __future__ import annotations

from time import sleep
from typing import Any

from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import OperationalError, ProgrammingError, connections
from psycopg.errors import LockNotAvailable

_ATTEMPTS = 20
_PAUSE_SECONDS = 3.0
# For sessions that set no timeout of their own, such as those of operators: an open transaction
# keeps all later events from being read, and so orders from being confirmed.
_IDLE_IN_TRANSACTION = "60s"


class Command(migrate.Command):
    """Django's command for a shop that is open.

    While a migration waits for the lock of a table, everything else that wants the table waits
    behind it: so it waits for a second at most, and is tried again later. Migrations that were
    applied before stay applied. There is no statement timeout, since a migration may index a
    large table.

    Sessions of the database that are idle in a transaction end after a minute by default; without
    the right to set that, a warning says so.
    """

    def handle(self, *args: Any, **options: Any) -> None:
        connection = connections[options["database"]]
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = 0")
            cursor.execute("SET lock_timeout = '1s'")
        try:
            self._migrate_with_retries(*args, **options)
        finally:
            with connection.cursor() as cursor:
                cursor.execute("RESET statement_timeout")
                cursor.execute("RESET lock_timeout")
        self._set_default(connection)

    def _migrate_with_retries(self, *args: Any, **options: Any) -> None:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                super().handle(*args, **options)
                return
            except OperationalError as error:
                if not isinstance(error.__cause__, LockNotAvailable):
                    raise
                if attempt == _ATTEMPTS:
                    raise CommandError(
                        "Another transaction holds a lock that the migration needs. Find it in"
                        " pg_stat_activity, end it, and migrate again."
                    ) from error
                self.stderr.write(f"A table is locked; trying again in {_PAUSE_SECONDS:.0f} s.")
                sleep(_PAUSE_SECONDS)

    def _set_default(self, connection: Any) -> None:
        name = connection.ops.quote_name(connection.settings_dict["NAME"])
        try:
            with connection.cursor() as cursor:
                cursor.execute(
                    f"ALTER DATABASE {name} SET idle_in_transaction_session_timeout"
                    f" = '{_IDLE_IN_TRANSACTION}'"
                )
        except ProgrammingError as error:  # only the owner of the database may
            self.stderr.write(self.style.WARNING(f"idle_in_transaction_session_timeout: {error}"))
