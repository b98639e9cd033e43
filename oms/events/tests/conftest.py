"""A consumer that writes the events it handles into the database, where they can be rolled back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection

from oms.events.models import DeadLetter
from oms.events.partitions import make_partitions, partition_of, partitioned_months
from oms.events.tests.months import FEBRUARY, JANUARY, append_past_events


@pytest.fixture
def handled(transactional_db: None) -> Iterator[Any]:
    """A table of effects: `handled()` lists the ids of events that took effect, in their order."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE test_handled (n bigint GENERATED ALWAYS AS IDENTITY, event_id uuid)"
        )

    def effects() -> list[Any]:
        with connection.cursor() as cursor:
            cursor.execute("SELECT event_id FROM test_handled ORDER BY n")
            return [row[0] for row in cursor.fetchall()]

    try:
        yield effects
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE test_handled")


@pytest.fixture
def spare_months(transactional_db: None) -> Iterator[None]:
    """Takes the partitions away again that a transactional test has made."""
    before = partitioned_months()
    try:
        yield
    finally:
        DeadLetter.objects.all().delete()
        for month in partitioned_months():
            if month not in before:
                # Not by CASCADE, which takes the foreign key of the failed events with it.
                table = partition_of(month)
                with connection.cursor() as cursor:
                    cursor.execute(f"ALTER TABLE events_event DETACH PARTITION {table}")
                    cursor.execute(f"DROP TABLE {table}")
        assert partitioned_months() == before


@pytest.fixture
def past(db: None) -> str:
    """A log of January, February and now, read by the consumer "tests"; its digest."""
    make_partitions(first=JANUARY, last=FEBRUARY)
    return append_past_events()
