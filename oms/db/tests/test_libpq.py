"""Round trips: prepared statements, timeouts, and the state of the connection afterwards."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.db import (
    DatabaseError,
    NotSupportedError,
    OperationalError,
    connection,
    transaction,
)

from oms.core.deadline import deadline_in
from oms.db import libpq
from oms.db.libpq import RoundTrip
from oms.db.pipeline import Pipeline, execute
from oms.db.transactions import with_retries
from oms.users.models import User

_NAMES = "SELECT count(*) FROM pg_prepared_statements WHERE name LIKE %s"


def backend() -> int:
    """The process of PostgreSQL that this thread's connection talks to."""
    [[pid]] = execute("SELECT pg_backend_pid()").rows()
    return int(pid)


@pytest.mark.django_db
def test_statements_stay_prepared_when_a_savepoint_is_undone() -> None:
    def often() -> None:
        for _ in range(7):  # after five times psycopg would prepare it
            assert not User.objects.filter(email="nobody@example.com").exists()

    often()
    assert execute("SELECT %s::int", [1]).rows() == [(1,)]
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        raise ZeroDivisionError
    often()

    assert execute("SELECT %s::int", [2]).rows() == [(2,)]


@pytest.mark.django_db
def test_a_statement_that_failed_to_be_prepared_is_prepared_the_next_time() -> None:
    statement = "SELECT count(*) FROM soon_there WHERE true"
    with pytest.raises(DatabaseError), transaction.atomic():
        execute(statement)
    execute("CREATE TEMPORARY TABLE soon_there ON COMMIT DROP AS SELECT 1 AS one")

    assert [execute(statement).rows() for _ in range(2)] == [[(1,)], [(1,)]]


@pytest.mark.django_db
def test_statements_that_were_not_used_for_long_are_deallocated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(libpq, "_KEPT", 5)
    for number in range(50):
        assert execute(f"SELECT {number}, %s::int", [number]).rows() == [(number, number)]
        assert execute("SELECT 'often'").rows() == [("often",)]

    with Pipeline() as pipeline:
        many = [pipeline.query(f"SELECT {number} + %s::int", [1]) for number in range(20)]
    assert [result.rows() for result in many] == [[(number + 1,)] for number in range(20)]
    [[kept]] = execute(_NAMES, ["oms\\_%"]).rows()
    assert kept <= 6


@pytest.mark.django_db
def test_a_statement_queued_twice_is_prepared_once() -> None:
    [[before]] = execute(_NAMES, ["oms\\_%"]).rows()

    for number in range(5):
        with Pipeline() as pipeline:
            twice = [pipeline.query(f"SELECT {number}, 'twice'") for _ in range(2)]
        assert [one.rows() for one in twice] == [[(number, "twice")]] * 2

    assert execute(_NAMES, ["oms\\_%"]).rows() == [(before + 5,)]


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_is_lost_meanwhile_is_not_kept() -> None:
    process = backend()

    def end() -> None:
        execute("SELECT pg_sleep(0.2), pg_terminate_backend(%s)", [process])
        connection.close()

    other = threading.Thread(target=end)
    other.start()
    with pytest.raises(DatabaseError), transaction.atomic():
        execute("SELECT pg_sleep(10)")
    other.join()

    assert backend() != process


@pytest.mark.django_db(transaction=True)
def test_an_exception_out_of_the_middle_costs_the_connection_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    process = backend()

    def interrupted(trip: Any) -> None:
        raise TimeoutError

    with monkeypatch.context() as patched:
        patched.setattr(RoundTrip, "_next_result", interrupted)
        with pytest.raises(TimeoutError), transaction.atomic():
            execute("SELECT 1")

    assert backend() != process


@pytest.mark.django_db(transaction=True)
def test_a_server_that_does_not_answer_in_time_costs_the_connection() -> None:
    process = backend()

    began = time.monotonic()
    with (
        pytest.raises(OperationalError, match="has not answered"),
        deadline_in(seconds=0.3),
        transaction.atomic(),
        Pipeline() as pipeline,
    ):
        pipeline.query("SELECT pg_sleep(10)")

    assert time.monotonic() - began < 5
    assert backend() != process


@pytest.fixture
def changing() -> Iterator[None]:
    """A table that a migration is going to change."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE changing AS SELECT 1::int AS number")
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE changing")


def change(kind: str) -> None:
    """Change the table as another process would."""
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE changing ALTER COLUMN number TYPE {kind}")


@pytest.mark.usefixtures("changing")
@pytest.mark.django_db(transaction=True)
def test_a_statement_whose_table_was_changed_is_prepared_again() -> None:
    statement = "SELECT number FROM changing"
    assert execute(statement).rows() == [(1,)]

    change("bigint")
    assert execute(statement).rows() == [(1,)]

    def read() -> list[Any]:
        with transaction.atomic(), Pipeline() as pipeline:
            return pipeline.query(statement).rows()

    change("text")
    assert with_retries(read) == [("1",)]
    change("int USING number::int")
    with pytest.raises(NotSupportedError):
        read()
    assert read() == [(1,)]


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_was_lost_between_tasks_is_reopened() -> None:
    process = backend()
    connection.close_if_unusable_or_obsolete()  # what ends a task and begins the next one
    with psycopg.connect(connection.connection.info.dsn, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s)", [process])
        while other.execute("SELECT FROM pg_stat_activity WHERE pid = %s", [process]).fetchone():
            pass

    assert backend() != process
