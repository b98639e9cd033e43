"""A month that comes back from the archive, and what that and archiving mean for others."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, connections

from oms.core import clock
from oms.db.transactions import DatabaseBusy
from oms.events import archiving
from oms.events.archive import read_month
from oms.events.archiving import MonthInUse, archived_until, restore_month
from oms.events.models import ArchivedMonth, Event
from oms.events.partitions import make_partitions, partition_of, partitioned_months, stray_events
from oms.events.tests.months import (
    FEBRUARY,
    JANUARY,
    archive,
    digest_of_log,
    tell_at,
    tell_the_past,
)


@pytest.fixture
def committed(spare_months: None) -> Iterator[str]:
    """The `past`, for others to see."""
    make_partitions(first=JANUARY, last=FEBRUARY)
    yield tell_the_past()
    ArchivedMonth.objects.all().delete()


@pytest.fixture
def other() -> Iterator[Any]:
    """Another connection to the database."""
    connection = connections.create_connection("default")
    try:
        yield connection
    finally:
        connection.close()


def test_a_month_does_not_come_back_beside_later_events_of_it(past: str, tmp_path: Path) -> None:
    archive(JANUARY, tmp_path)
    tell_at(datetime(2025, 1, 20, tzinfo=UTC))

    with pytest.raises(MonthInUse, match="DEFAULT holds events of 2025-01"):
        restore_month(month=JANUARY, folder=tmp_path)

    assert archived_until() == datetime(2025, 2, 1, tzinfo=UTC)
    assert stray_events(now=clock.now(), most=1) == 0


def test_a_month_that_was_half_restored_is_restored_anew(
    past: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive(JANUARY, tmp_path)
    monkeypatch.setattr(archiving, "_RESTORED_AT_ONCE", 3)
    with monkeypatch.context() as breaking:
        breaking.setattr(archiving, "_put_back", _breaks_off)
        with pytest.raises(KeyboardInterrupt):
            restore_month(month=JANUARY, folder=tmp_path)
    assert Event.objects.count() == 14
    assert JANUARY not in partitioned_months()

    restore_month(month=JANUARY, folder=tmp_path)

    assert digest_of_log() == past


def _breaks_off(*args: Any) -> None:
    raise KeyboardInterrupt


def test_what_comes_back_is_whole_or_does_not_come_back(
    past: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive(JANUARY, tmp_path)
    monkeypatch.setattr(archiving, "_RESTORED_AT_ONCE", 3)
    monkeypatch.setattr(archiving, "read_month", lambda *args, **kwargs: iter(()))

    with pytest.raises(MonthInUse, match="restored by another"):
        restore_month(month=JANUARY, folder=tmp_path)

    assert JANUARY not in partitioned_months()
    assert ArchivedMonth.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_return_does_not_hold_up_the_relay(
    committed: str, other: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody reads past the oldest transaction that writes."""
    archive(JANUARY, tmp_path)
    monkeypatch.setattr(archiving, "_RESTORED_AT_ONCE", 2)
    writing = []

    def looked_at(*args: Any, **kwargs: Any) -> Iterator[bytes]:
        for line in read_month(*args, **kwargs):
            with other.cursor() as cursor:
                cursor.execute(
                    "SELECT count(*) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND backend_xid IS NOT NULL"
                )
                writing.append(cursor.fetchone()[0])
            yield line

    monkeypatch.setattr(archiving, "read_month", looked_at)
    restore_month(month=JANUARY, folder=tmp_path)

    assert writing == [0] * 7
    assert digest_of_log() == committed


def test_a_month_comes_back_without_being_read_under_a_lock(past: str, tmp_path: Path) -> None:
    archive(JANUARY, tmp_path)
    notices: list[str] = []

    def note(notice: Any) -> None:
        notices.append(notice.message_primary)

    connection.connection.add_notice_handler(note)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL client_min_messages = debug1")
        restore_month(month=JANUARY, folder=tmp_path)
    finally:
        connection.connection.remove_notice_handler(note)

    table = partition_of(JANUARY)
    assert f'partition constraint for table "{table}" is implied by existing constraints' in notices
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_constraint WHERE conname LIKE '%\\_bound'")
        assert cursor.fetchone() == (0,)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "change",
    [archive, lambda month, folder: restore_month(month=month, folder=folder)],
    ids=["archive", "restore"],
)
def test_a_month_leaves_and_returns_when_long_readers_have_ended(
    committed: str, other: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Any
) -> None:
    if change is not archive:
        archive(JANUARY, tmp_path)
    monkeypatch.setattr(archiving, "_TRIES", 2)
    monkeypatch.setattr(time, "sleep", lambda seconds: other.rollback())
    other.set_autocommit(False)
    with other.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM events_event")

    change(JANUARY, tmp_path)

    assert (JANUARY in partitioned_months()) is (change is not archive)


@pytest.mark.django_db(transaction=True)
def test_two_processes_do_not_write_the_files_of_a_month(committed: str, other: Any) -> None:
    """Each holds this lock meanwhile, which conflicts with itself."""
    other.set_autocommit(False)
    with other.cursor() as cursor, connection.cursor() as own:
        cursor.execute(f"LOCK TABLE {partition_of(JANUARY)} IN SHARE UPDATE EXCLUSIVE MODE")
        own.execute("SET lock_timeout = '50ms'")
        try:
            with pytest.raises(DatabaseBusy), archiving._lines_of(JANUARY):
                pass
        finally:
            own.execute("RESET lock_timeout")
            other.rollback()


@pytest.mark.django_db(transaction=True)
def test_a_slow_disk_may_take_its_time(committed: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET idle_in_transaction_session_timeout = '100ms'")
        try:
            with archiving._lines_of(JANUARY) as lines:
                assert len(list(lines)) == 7
                time.sleep(0.3)
        finally:
            cursor.execute("RESET idle_in_transaction_session_timeout")
