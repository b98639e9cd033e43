"""Archiving that is killed at any point loses nothing, and continues when run again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from django.db import IntegrityError

from oms.core import clock
from oms.core.ids import new_id
from oms.events.archive import read_manifest, read_month
from oms.events.archiving import archive_month
from oms.events.models import ArchivedMonth, ConsumerOffset, DeadLetter, Event
from oms.events.partitions import make_partition, partitioned_months
from oms.events.tests.months import append_events, digest_of_log, lines_of_log
from oms.testing import processes
from oms.testing.environment import ROOT

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

JANUARY = date(2025, 1, 1)


@pytest.fixture
def past(spare_months: None) -> Iterator[str]:
    """A log of January and now, read by the consumer "tests"; its digest."""
    make_partition(month=JANUARY)
    for moment in (datetime(2025, 1, 9, tzinfo=UTC), clock.now()):
        append_events(moment, number=50)
    last = Event.objects.latest("position")
    ConsumerOffset.objects.create(
        consumer="tests", transaction=last.transaction, position=last.position
    )
    yield digest_of_log()
    ArchivedMonth.objects.all().delete()


def archive_and_die(folder: Path, *moment: str) -> int:
    """The exit code of a process that archives January and dies at that moment of it."""
    arguments = [sys.executable, "-m", "oms.events.tests.dying", str(folder), str(JANUARY)]
    environment = os.environ | {"DATABASE_URL": processes.current_database_url()}
    return subprocess.run(
        [*arguments, *moment], env=environment, cwd=ROOT, check=False, timeout=60
    ).returncode


@pytest.mark.parametrize(
    ("moment", "leaves_the_database"),
    [
        (("fsync", "1", "before"), False),  # the file is written, but maybe not on the disk
        (("rename", "1", "before"), False),
        (("rename", "1", "after"), False),  # the file has its name, the manifest is missing
        (("rename", "2", "before"), False),
        (("rename", "2", "after"), False),  # all is in the archive
        (("verify", "1", "after"), False),
        (("drop", "1", "before"), False),
        (("check", "2", "after"), False),  # in the transaction that drops the month
        (("commit", "2", "before"), False),  # dropped, not committed
        (("commit", "2", "after"), True),
        (("drop", "1", "after"), True),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else "",
)
def test_nothing_is_lost(
    past: str, tmp_path: Path, moment: tuple[str, ...], leaves_the_database: bool
) -> None:
    january = lines_of_log(JANUARY)

    assert archive_and_die(tmp_path, *moment) == -signal.SIGKILL

    assert (JANUARY not in partitioned_months()) is leaves_the_database
    assert ArchivedMonth.objects.exists() is leaves_the_database
    if not leaves_the_database:
        assert digest_of_log() == past
        archive_month(month=JANUARY, folder=tmp_path, consumers=["tests"])
    manifest = read_manifest(tmp_path, month=JANUARY)
    assert manifest is not None
    assert list(read_month(tmp_path, manifest=manifest)) == january
    assert len(january) == Event.objects.count() == 50
    assert not list(tmp_path.glob("*.partial*"))
    with pytest.raises(IntegrityError, match="violates foreign key"):
        DeadLetter.objects.create(consumer="tests", event_id=new_id(), last_error="x")
