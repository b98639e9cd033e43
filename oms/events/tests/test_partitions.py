"""The months of the log: where events go, what guards them, what happens without a partition."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, connection, connections, transaction
from pytest_django import DjangoAssertNumQueries

from oms.core import clock
from oms.core.actor import system
from oms.core.ids import first_id_at, new_id
from oms.db.transactions import DatabaseBusy
from oms.events import relay
from oms.events.models import DeadLetter, Event
from oms.events.partitions import (
    DEFAULT,
    maintain_partitions,
    make_partition,
    make_partitions,
    month_of,
    months_later,
    partition_of,
    partitioned_months,
)
from oms.events.publishing import publish
from oms.events.tests.consumers import consumer, deliver
from oms.events.tests.months import append_events, digest_of_log, table_of
from oms.users.events import UserRegistered

JANUARY = date(2025, 1, 1)
IN_JANUARY = datetime(2025, 1, 15, tzinfo=UTC)
IN_FEBRUARY = datetime(2025, 2, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("month", "number", "expected"),
    [
        (date(2026, 11, 1), 2, date(2027, 1, 1)),
        (date(2026, 1, 1), -1, date(2025, 12, 1)),
        (date(2026, 1, 1), -25, date(2023, 12, 1)),
        (date(2026, 12, 1), 0, date(2026, 12, 1)),
    ],
)
def test_months_are_counted_over_the_ends_of_years(
    month: date, number: int, expected: date
) -> None:
    assert months_later(month, number) == expected


@pytest.mark.django_db
def test_new_events_go_into_the_partition_of_this_month() -> None:
    with transaction.atomic():
        publish(UserRegistered(user_id=new_id(), email="c@example.com"), actor=system("tests"))

    event = Event.objects.get()
    assert table_of(event.id) == partition_of(month_of(clock.now()))


@pytest.mark.django_db
def test_a_month_holds_its_first_millisecond_and_its_last() -> None:
    make_partitions(first=JANUARY, last=date(2025, 2, 28))
    begin, end = datetime(2025, 1, 1, tzinfo=UTC), datetime(2025, 2, 1, tzinfo=UTC)

    times = [begin, end - timedelta(milliseconds=1), end]
    tables = [table_of(append_events(moment)[0]) for moment in times]
    [before] = append_events(begin - timedelta(milliseconds=1))

    assert tables == ["events_event_2025_01", "events_event_2025_01", "events_event_2025_02"]
    assert table_of(before) == DEFAULT


@pytest.mark.django_db
@pytest.mark.parametrize("table", ["events_event", "events_event_2025_01", DEFAULT])
@pytest.mark.parametrize("verb", ["UPDATE {} SET type = 'x'", "DELETE FROM {}", "TRUNCATE {}"])
def test_every_partition_is_append_only(table: str, verb: str) -> None:
    make_partition(month=JANUARY)
    append_events(IN_JANUARY)
    append_events(IN_FEBRUARY)  # has no partition
    before = digest_of_log()

    cascade = " CASCADE" if verb.startswith("TRUNCATE") else ""
    with (
        pytest.raises(DatabaseError, match="is append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(verb.format(table) + cascade)

    assert digest_of_log() == before


@pytest.mark.django_db
def test_an_id_is_unique_in_the_log() -> None:
    [id] = append_events(clock.now())

    event = Event.objects.get(pk=id)
    with pytest.raises(IntegrityError), transaction.atomic():
        Event.objects.create(
            id=id, type=event.type, object_type="user", object_id=new_id(), data={},
            actor_kind="system", actor_label="tests", occurred_at=clock.now(),
        )  # fmt: skip


@pytest.mark.django_db
def test_maintenance_makes_the_months_ahead_once(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    now = datetime(2031, 12, 31, 23, 59, tzinfo=UTC)

    assert maintain_partitions(now=now) == [date(2031, 12, 1), date(2032, 1, 1), date(2032, 2, 1)]
    assert maintain_partitions(now=now) == []
    assert set(partitioned_months()) >= {date(2031, 12, 1), date(2032, 2, 1)}


@pytest.mark.django_db
def test_a_month_whose_events_are_in_default_stays_there_and_the_next_ones_are_made() -> None:
    now = datetime(2031, 12, 31, tzinfo=UTC)
    [id] = append_events(now)

    assert maintain_partitions(now=now) == [date(2032, 1, 1), date(2032, 2, 1)]
    assert maintain_partitions(now=now) == []

    assert table_of(id) == DEFAULT


@pytest.mark.django_db(transaction=True)
def test_a_failed_event_must_be_in_the_log(spare_months: None) -> None:
    with pytest.raises(IntegrityError, match="violates foreign key"):
        DeadLetter.objects.create(consumer="tests", event_id=new_id(), last_error="x")


@pytest.mark.django_db(transaction=True)
def test_a_month_is_made_while_others_write_and_read(spare_months: None) -> None:
    other: Any = connections.create_connection("default")
    other.set_autocommit(False)
    try:
        with other.cursor() as cursor:
            cursor.execute(
                "INSERT INTO events_event (id, type, object_type, object_id, data, actor_kind,"
                " actor_label, request_id, occurred_at) VALUES (%s, 'x', 'user', %s, '{}',"
                " 'system', 'tests', '', now())",
                [str(new_id()), str(new_id())],
            )
            assert make_partition(month=JANUARY)
    finally:
        other.rollback()
        other.close()


@pytest.mark.django_db(transaction=True)
def test_a_month_is_given_up_soon_while_default_is_in_use(spare_months: None) -> None:
    other: Any = connections.create_connection("default")
    other.set_autocommit(False)
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM events_event_default")
            with pytest.raises(DatabaseBusy):
                make_partition(month=JANUARY)
    finally:
        other.rollback()
        other.close()

    assert JANUARY not in partitioned_months()
    assert make_partition(month=JANUARY)


@pytest.mark.django_db
def test_one_month_is_read_where_the_ids_are_bounded() -> None:
    make_partitions(first=JANUARY, last=date(2025, 6, 1))
    append_events(IN_FEBRUARY, number=10)

    plan = Event.objects.filter(
        id__gte=first_id_at(IN_FEBRUARY), id__lt=first_id_at(IN_FEBRUARY + timedelta(days=1))
    ).explain()

    assert "events_event_2025_02" in plan
    assert "events_event_2025_01" not in plan
    assert DEFAULT not in plan


@pytest.mark.django_db
def test_a_backlog_over_many_months_is_read_along_their_indexes() -> None:
    """And not sorted whole for each batch, which would make long backlogs ever slower."""
    make_partitions(first=JANUARY, last=date(2025, 6, 1))
    for month in range(1, 7):
        append_events(datetime(2025, month, 15, tzinfo=UTC), number=1_000)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE events_event")
        # What the test itself has written is not readable yet.
        statement = relay._READABLE.replace("pg_snapshot_xmin(pg_current_snapshot())", "'9'")
        statement = statement.replace("transaction < '9'", "transaction > '1'")
        cursor.execute(f"EXPLAIN (ANALYZE, COSTS OFF) {statement}", ["0", 0, 50, ["user.changed"]])
        plan = "\n".join(line for (line,) in cursor.fetchall())

    assert "Merge Append" in plan
    read = re.findall(r"Index Scan using .*events_event_2025.* rows=([\d.]+)", plan)
    assert len(read) == 6
    assert sum(float(rows) for rows in read) <= 50 + 6


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("spare_months")
def test_a_backlog_that_no_statistics_know_of_is_not_sorted_either() -> None:
    make_partitions(first=JANUARY, last=date(2025, 6, 1))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE events_event")
    for month in range(1, 7):
        append_events(datetime(2025, month, 15, tzinfo=UTC), number=1_000)
    plans: list[str] = []

    def explain(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if "AS MATERIALIZED" in sql:
            execute(f"EXPLAIN (COSTS OFF) {sql}", params, many, context)
            plans.append("\n".join(line for (line,) in context["cursor"].fetchall()))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(explain):
        assert deliver(consumer(lambda events: None)) == 0

    assert "Merge Append" in plans[0]
    assert "Seq Scan" not in plans[0]
