"""Months that leave the database for the archive."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from pytest_django import Settings

from oms.core import clock
from oms.events import archiving
from oms.events.archive import (
    ArchiveDamaged,
    manifest_path,
    read_manifest,
    read_month,
    write_month,
)
from oms.events.archiving import (
    MonthInUse,
    archivable_months,
    archive_month,
    archived_until,
    verify_month,
)
from oms.events.models import ArchivedMonth, ConsumerOffset, DeadLetter, Event
from oms.events.partitions import (
    make_partitions,
    month_of,
    months_later,
    partitioned_months,
)
from oms.events.tests.months import (
    FEBRUARY,
    JANUARY,
    append_events,
    archive,
    digest_of_log,
    lines_of_log,
)


def test_an_archived_month_is_in_a_file_as_it_was_in_the_table(past: str, tmp_path: Path) -> None:
    january = list(Event.objects.order_by("position")[:7].values("id", "data"))
    lines_before = lines_of_log(JANUARY)

    manifest = archive(JANUARY, tmp_path)

    assert (manifest.rows, Event.objects.count()) == (7, 14)
    assert JANUARY not in partitioned_months()
    assert archived_until() == datetime(2025, 2, 1, tzinfo=UTC)
    with gzip.open(tmp_path / manifest.file, "rt") as file:
        lines = [json.loads(line) for line in file]
    assert [line["id"] for line in lines] == [str(event["id"]) for event in january]
    assert lines[0]["data"] == january[0]["data"]
    assert {path.name for path in tmp_path.iterdir()} == {
        "events-2025-01.jsonl.gz",
        "events-2025-01.json",
    }

    assert list(read_month(tmp_path, manifest=manifest)) == lines_before


def test_a_month_stays_if_another_process_writes_its_files(
    past: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def another_process_begins(*args: Any, **kwargs: Any) -> None:
        manifest_path(tmp_path, month=JANUARY).unlink()

    monkeypatch.setattr(archiving, "verify_file", another_process_begins)
    with pytest.raises(MonthInUse, match="files of 2025-01 were changed"):
        archive(JANUARY, tmp_path)

    assert digest_of_log() == past


def test_months_are_archived_oldest_first(past: str, tmp_path: Path) -> None:
    with pytest.raises(MonthInUse, match="2025-01 must be archived first"):
        archive(FEBRUARY, tmp_path)
    archive(JANUARY, tmp_path)
    archive(FEBRUARY, tmp_path)

    assert archived_until() == datetime(2025, 3, 1, tzinfo=UTC)


def test_an_archived_file_can_be_read_back_by_sql(past: str, tmp_path: Path) -> None:
    """As docs/event-log.md says, into a table of its own."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE january ON COMMIT DROP AS TABLE events_event_2025_01")
        manifest = archive(JANUARY, tmp_path)
        cursor.execute("CREATE TEMP TABLE events_2025_01 (LIKE events_event) ON COMMIT DROP")
        for line in read_month(tmp_path, manifest=manifest):
            cursor.execute(
                "INSERT INTO events_2025_01"
                " SELECT * FROM json_populate_record(NULL::events_event, %s)",
                [line.decode()],
            )
        cursor.execute("TABLE january EXCEPT TABLE events_2025_01")
        assert cursor.fetchall() == []
        cursor.execute("SELECT count(*) FROM events_2025_01")
        assert cursor.fetchone() == (7,)


def test_a_month_that_a_consumer_has_not_read_stays(past: str, tmp_path: Path) -> None:
    event = Event.objects.order_by("position")[5]
    ConsumerOffset.objects.update(transaction=event.transaction, position=event.position)

    with pytest.raises(MonthInUse, match="was read by tests"):
        archive(JANUARY, tmp_path)
    with pytest.raises(MonthInUse, match="was read by another"):
        archive_month(month=JANUARY, folder=tmp_path, consumers=["another"])

    assert list(tmp_path.iterdir()) == []
    ConsumerOffset.objects.update(position=event.position + 1)
    assert archive(JANUARY, tmp_path).rows == 7


def test_a_month_with_a_failed_event_stays(past: str, tmp_path: Path) -> None:
    DeadLetter.objects.create(
        consumer="tests", event=Event.objects.order_by("position")[3], last_error="x"
    )

    with pytest.raises(MonthInUse, match="failed events of 2025-01"):
        archive(JANUARY, tmp_path)


def test_events_in_default_stay_in_the_table(past: str, tmp_path: Path) -> None:
    [stray] = append_events(datetime(2024, 12, 31, tzinfo=UTC))

    assert archive(JANUARY, tmp_path).rows == 7

    assert Event.objects.filter(pk=stray).exists()


def test_events_added_during_archiving_are_not_lost(
    past: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def add_an_event(*args: Any, **kwargs: Any) -> None:
        append_events(datetime(2025, 1, 20, tzinfo=UTC))
        ConsumerOffset.objects.update(position=Event.objects.latest("position").position)

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(archiving, "verify_file", add_an_event)
        with pytest.raises(MonthInUse, match="was added to"):
            archive(JANUARY, tmp_path)

    assert Event.objects.count() == 22
    assert archive(JANUARY, tmp_path).rows == 8


def test_verifying_finds_a_damaged_file(past: str, tmp_path: Path) -> None:
    path = tmp_path / archive(JANUARY, tmp_path).file
    archived = ArchivedMonth.objects.get()
    good = path.read_bytes()
    flipped = good[:40] + bytes([good[40] ^ 1]) + good[41:]
    for damaged in (good[:-20], flipped, b"", gzip.compress(b"{}\n")):
        path.write_bytes(damaged)
        with pytest.raises(ArchiveDamaged):
            verify_month(archived, folder=tmp_path)

    path.write_bytes(good)
    verify_month(archived, folder=tmp_path)


def test_verifying_finds_a_file_of_another_shop(past: str, tmp_path: Path) -> None:
    archive(JANUARY, tmp_path)
    path = manifest_path(tmp_path, month=JANUARY)
    path.write_text(path.read_text().replace('"sha256": "', '"sha256": "0'))

    with pytest.raises(ArchiveDamaged, match="not the one that was made"):
        verify_month(ArchivedMonth.objects.get(), folder=tmp_path)


def test_a_damaged_file_of_an_interrupted_attempt_is_written_again(
    past: str, tmp_path: Path
) -> None:
    manifest = write_month(tmp_path, month=JANUARY, lines=lines_of_log(JANUARY))
    path = tmp_path / manifest.file
    good = path.read_bytes()
    path.write_bytes(good[:-20])

    assert archive(JANUARY, tmp_path) == manifest

    assert path.read_bytes() == good


def test_a_file_with_other_events_is_never_overwritten(past: str, tmp_path: Path) -> None:
    write_month(tmp_path, month=JANUARY, lines=[b'{"transaction": "1", "position": 1}'])
    files = {path: path.read_bytes() for path in tmp_path.iterdir()}

    with pytest.raises(ArchiveDamaged, match="has other events than the table"):
        archive(JANUARY, tmp_path)

    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == files
    assert digest_of_log() == past


def test_a_month_is_not_archived_over_itself(past: str, tmp_path: Path) -> None:
    manifest = archive(JANUARY, tmp_path)
    make_partitions(first=JANUARY, last=JANUARY)
    append_events(datetime(2025, 1, 20, tzinfo=UTC))
    ConsumerOffset.objects.update(position=Event.objects.latest("position").position)

    with pytest.raises(MonthInUse, match="in the archive already"):
        archive(JANUARY, tmp_path)

    assert read_manifest(tmp_path, month=JANUARY) == manifest


def test_nothing_is_archived_unless_configured_and_old_enough(past: str) -> None:
    now = datetime(2025, 3, 31, tzinfo=UTC)

    assert archivable_months(now=now, retention_months=0) == []
    assert archivable_months(now=now, retention_months=2) == []
    assert archivable_months(now=now, retention_months=1) == [JANUARY]
    assert archivable_months(now=datetime(2025, 4, 1, tzinfo=UTC), retention_months=1) == [
        JANUARY,
        FEBRUARY,
    ]


def test_the_command_archives_what_is_old_enough_and_verifies_it(
    past: str, tmp_path: Path, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.EVENT_LOG_ARCHIVE_DIR = tmp_path
    settings.EVENT_LOG_RETENTION_MONTHS = 0
    with pytest.raises(CommandError, match="the whole log is kept"):
        call_command("event_log", "archive")
    settings.EVENT_LOG_RETENTION_MONTHS = 1
    with pytest.raises(CommandError, match="read by allocation, notifications, orders"):
        call_command("event_log", "archive")
    reached = ConsumerOffset.objects.get(consumer="tests")
    for name in ("orders", "allocation", "notifications"):
        ConsumerOffset.objects.create(
            consumer=name, transaction=reached.transaction, position=reached.position
        )

    call_command("event_log", "archive", dry_run=True)
    assert ArchivedMonth.objects.count() == 0
    call_command("event_log", "archive")
    call_command("event_log", "status")
    out = capsys.readouterr().out
    assert "Would archive 2025-02." in out
    assert "Archived 2025-01: 7 events." in out
    assert "archived: events-2025-02.jsonl.gz" in out
    assert months_later(month_of(clock.now()), 0) in partitioned_months()

    call_command("event_log", "verify")
    assert "Verified 2025-01: 7 events." in capsys.readouterr().out
    (tmp_path / "events-2025-02.jsonl.gz").unlink()
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("event_log", "verify")
