"""`manage.py migrate` without a statement timeout, and with a default for other sessions."""

from __future__ import annotations

from typing import Any

from django.core.management.commands import migrate
from django.db import ProgrammingError, connections

# For sessions that set no timeout of their own, such as those of operators: an open transaction
# keeps all later events from being read, and so orders from being confirmed.
_IDLE_IN_TRANSACTION = "60s"


class Command(migrate.Command):
    """Django's command without DB_STATEMENT_TIMEOUT_MS, since it may rewrite or index large tables.

    The lock timeout stays. Sessions of the database that are idle in a transaction end after a
    minute by default; without the right to set that, a warning says so.
    """

    def handle(self, *args: Any, **options: Any) -> None:
        connection = connections[options["database"]]
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = 0")
        try:
            super().handle(*args, **options)
        finally:
            with connection.cursor() as cursor:
                cursor.execute("RESET statement_timeout")
        self._set_default(connection)

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
