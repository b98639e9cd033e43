"""What archiving a month means for others who use the log."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, connections

from oms.db.transactions import DatabaseBusy
from oms.events import archiving
from oms.events.models import ArchivedMonth
from oms.events.partitions import make_partitions, partition_of, partitioned_months
from oms.events.tests.months import FEBRUARY, JANUARY, append_past_events, archive


@pytest.fixture
def committed(spare_months: None) -> Iterator[str]:
    """The `past`, for others to see."""
    make_partitions(first=JANUARY, last=FEBRUARY)
    yield append_past_events()
    ArchivedMonth.objects.all().delete()


@pytest.fixture
def other() -> Iterator[Any]:
    """Another connection to the database."""
    connection = connections.create_connection("default")
    try:
        yield connection
    finally:
        connection.close()


@pytest.mark.django_db(transaction=True)
def test_a_month_is_dropped_when_long_readers_have_ended(
    committed: str, other: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archiving, "_TRIES", 2)
    monkeypatch.setattr(time, "sleep", lambda seconds: other.rollback())
    other.set_autocommit(False)
    with other.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM events_event")

    archive(JANUARY, tmp_path)

    assert JANUARY not in partitioned_months()


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
