"""`manage.py migrate` beside a transaction that holds what the migration needs."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.core.management.commands import migrate as django_migrate
from django.db import connection, connections, transaction

from oms.management.commands import migrate

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


class HeldTable:
    """Another session that reads `users_user` in a transaction which stays open."""

    def __init__(self) -> None:
        self._begun, self._end = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._hold)

    def __enter__(self) -> HeldTable:
        self._thread.start()
        assert self._begun.wait(10)
        return self

    def __exit__(self, *error: object) -> None:
        self.release()

    def release(self) -> None:
        self._end.set()
        self._thread.join()

    def _hold(self) -> None:
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
                cursor.execute("LOCK TABLE users_user IN ACCESS SHARE MODE")
                self._begun.set()
                self._end.wait(60)
        finally:
            connections.close_all()


@pytest.fixture
def migrations(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replaces Django's command by one that locks a table; the lock timeouts that it ran under."""
    settings: list[str] = []

    def change_table(self: Any, *args: Any, **options: Any) -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('lock_timeout')")
            settings.append(cursor.fetchone()[0])
            cursor.execute("LOCK TABLE users_user IN ACCESS EXCLUSIVE MODE")

    monkeypatch.setattr(django_migrate.Command, "handle", change_table)
    return settings


def test_a_migration_waits_a_second_for_a_lock_and_is_tried_again(
    migrations: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with HeldTable() as held:
        # Of this module alone: any other thread of the process may sleep meanwhile.
        monkeypatch.setattr(migrate, "sleep", lambda seconds: held.release())
        call_command("migrate", verbosity=0)

    assert migrations == ["1s", "1s"]
    with connection.cursor() as cursor:
        cursor.execute("SHOW lock_timeout")
        assert cursor.fetchone() == ("2s",)


def test_a_lock_that_is_never_released_ends_the_command(
    migrations: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate, "_ATTEMPTS", 2)
    monkeypatch.setattr(migrate, "_PAUSE_SECONDS", 0.0)

    with HeldTable(), pytest.raises(CommandError, match="pg_stat_activity"):
        call_command("migrate", verbosity=0)

    assert len(migrations) == 2
