"""The shop's database backend, able to empty append-only tables between tests."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import transaction
from django.db.backends.postgresql.operations import DatabaseOperations as PostgresOperations
from django_prometheus.db.backends.postgresql.base import DatabaseWrapper as PostgresWrapper


class DatabaseOperations(PostgresOperations):
    """Flushes past the triggers that forbid TRUNCATE."""

    def execute_sql_flush(self, sql_list: Iterable[str]) -> None:
        """Run the TRUNCATE statements `sql_list` in one transaction, with triggers off in it."""
        with (
            transaction.atomic(using=self.connection.alias),
            self.connection.cursor() as cursor,
        ):
            # "replica" is how a standby applies changes that were checked elsewhere already.
            cursor.execute("SET LOCAL session_replication_role = replica")
            for statement in sql_list:
                cursor.execute(statement)


class DatabaseWrapper(PostgresWrapper):
    """A connection of the tests."""

    ops_class = DatabaseOperations
