"""The pipeline: Django's connection, transactions and errors, in fewer round trips."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from django.db import (
    DatabaseError,
    DataError,
    IntegrityError,
    connection,
    transaction,
)
from django.test.utils import CaptureQueriesContext

from oms.db.libpq import RoundTrip
from oms.db.pipeline import Pipeline, execute

_PROCESS = "SELECT pg_backend_pid()"


@contextmanager
def counted_round_trips(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The numbers of statements that were sent together."""
    sent: list[int] = []
    send = RoundTrip.send

    def counting(trip: Any) -> None:
        sent.append(len(trip._statements))
        send(trip)

    with monkeypatch.context() as patched:
        patched.setattr(RoundTrip, "send", counting)
        yield sent


@pytest.mark.django_db
@pytest.mark.parametrize(
    "value",
    [
        1,
        2**40,
        None,
        True,
        "Ünter % \U0001f9e6",
        Decimal("12.30"),
        b"\x00\xff",
        UUID(int=7),
        datetime(2026, 11, 21, 12, 0, 0, 1, tzinfo=UTC),
        ["a", "b"],
        [UUID(int=1), UUID(int=2)],
    ],
)
def test_values_are_returned_as_they_were_sent(value: Any) -> None:
    kind = {
        int: "bigint",
        type(None): "text",
        bool: "bool",
        str: "text",
        Decimal: "numeric",
        bytes: "bytea",
        UUID: "uuid",
        datetime: "timestamptz",
        list: "text[]" if value == ["a", "b"] else "uuid[]",
    }[type(value)]

    for _ in range(3):  # prepared, and again
        assert execute(f"SELECT %s::{kind}, '100%%'", [value]).rows() == [(value, "100%")]
    assert execute(f"SELECT %s::{kind}", [value], prepared=False).rows() == [(value,)]


@pytest.mark.django_db
def test_it_counts_the_rows_that_were_changed() -> None:
    assert execute("SELECT 1 WHERE false").count() == 0
    assert execute("SELECT generate_series(1, 3)").count() == 3
    assert execute("UPDATE users_user SET email = email WHERE false").count() == 0


@pytest.mark.django_db
def test_queries_of_a_pipeline_share_a_round_trip(monkeypatch: pytest.MonkeyPatch) -> None:
    with counted_round_trips(monkeypatch) as sent, Pipeline() as pipeline:
        first, second = pipeline.query("SELECT %s::int", [1]), pipeline.query("SELECT %s::int", [2])
        third = execute("SELECT 3", pipeline=pipeline)
        assert sent == []
        assert [second.rows(), first.rows(), third.rows()] == [[(2,)], [(1,)], [(3,)]]
        assert sent == [3]
        pipeline.query("SELECT 4")
        pipeline.send()
        assert sent == [3, 1]
        fifth = pipeline.query("SELECT 5")
        pipeline.send()

    assert sent == [3, 1, 1]
    assert fifth.rows() == [(5,)]


@pytest.mark.django_db
def test_rows_are_made_as_the_query_says() -> None:
    with Pipeline() as pipeline:
        result = pipeline.query("SELECT 1, 2", make=sum)

    assert result.rows() == [3]


@pytest.mark.django_db(transaction=True)
def test_queued_statements_run_in_djangos_transaction() -> None:
    with transaction.atomic(), Pipeline() as pipeline:
        pipeline.query("CREATE TEMPORARY TABLE kept ON COMMIT DROP AS SELECT 1 AS one")
        assert pipeline.query("SELECT one FROM kept").rows() == [(1,)]
    [[is_gone]] = execute("SELECT to_regclass('kept') IS NULL").rows()
    assert is_gone

    name = uuid4().hex
    with suppress(ZeroDivisionError), transaction.atomic(), Pipeline() as pipeline:
        pipeline.query("SELECT set_config('oms.test', %s, false)", [name])
        pipeline.send()
        raise ZeroDivisionError
    assert execute("SELECT current_setting('oms.test', true)").rows() != [(name,)]
    assert connection.is_usable()


@pytest.mark.django_db
def test_errors_are_djangos_with_the_drivers_as_their_cause() -> None:
    with pytest.raises(DataError) as raised, transaction.atomic():
        execute("SELECT 1 / %s", [0])
    assert isinstance(raised.value.__cause__, psycopg.errors.DivisionByZero)

    with pytest.raises(IntegrityError) as violated, transaction.atomic():
        execute("INSERT INTO users_user (id) VALUES (%s)", [uuid4()])
    cause = violated.value.__cause__
    assert isinstance(cause, psycopg.errors.NotNullViolation)
    assert cause.diag.table_name == "users_user"


@pytest.mark.django_db
def test_the_first_query_that_fails_is_raised_and_those_after_it_have_not_run() -> None:
    process = execute(_PROCESS).rows()
    before = execute("SELECT 'before'")
    with transaction.atomic(), Pipeline() as pipeline:
        good = pipeline.query("SELECT 'good'")
        pipeline.query("SELECT 1 / 0")
        late = pipeline.query("SELECT * FROM there_is_no_such_table")
        with pytest.raises(DataError):
            good.rows()
        transaction.set_rollback(True)

    assert [before.rows(), good.rows()] == [[("before",)], [("good",)]]
    with pytest.raises(RuntimeError, match="has not run"):
        late.rows()
    assert execute(_PROCESS).rows() == process


@pytest.mark.django_db
def test_errors_at_the_end_of_a_block_are_raised_there() -> None:
    with pytest.raises(DataError), transaction.atomic(), Pipeline() as pipeline:
        pipeline.query("SELECT 1 / 0")

    assert execute("SELECT 1").rows() == [(1,)]


@pytest.mark.django_db
def test_nothing_is_sent_in_a_transaction_that_has_failed() -> None:
    with transaction.atomic():
        with pytest.raises(DataError), transaction.atomic(savepoint=False):
            execute("SELECT 1 / 0")
        with pytest.raises(transaction.TransactionManagementError):
            execute("SELECT 1")
        transaction.set_rollback(True)


@pytest.mark.django_db
def test_a_value_that_cannot_be_adapted_is_refused_before_anything_is_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with counted_round_trips(monkeypatch) as sent:
        with pytest.raises(DatabaseError):
            execute("SELECT %s", [object()])
        with pytest.raises(ValueError, match="parameters"):
            execute("SELECT %s, %s", [1])

    assert sent == []
    assert execute("SELECT 1").rows() == [(1,)]


@pytest.mark.django_db
def test_captured_queries_are_executed_in_their_order() -> None:
    with Pipeline() as pipeline:
        first = pipeline.query("SELECT 1")
        with CaptureQueriesContext(connection) as captured:
            second, third = pipeline.query("SELECT %s::int", [2]), pipeline.query("SELECT 3")
        fourth = pipeline.query("SELECT 4")

    results = [one.rows() for one in (first, second, third, fourth)]
    assert results == [[(1,)], [(2,)], [(3,)], [(4,)]]
    assert [query["sql"] for query in captured] == ["SELECT 2::int", "SELECT 3"]


@pytest.mark.django_db
def test_a_large_statement_and_a_large_answer_pass_each_other() -> None:
    text = "x" * 3_000_000

    with Pipeline() as pipeline:
        results = [pipeline.query("SELECT %s::text", [text]) for _ in range(4)]

    assert all(one.rows() == [(text,)] for one in results)
