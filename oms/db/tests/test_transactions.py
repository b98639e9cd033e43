"""The three decorators of operations, and what is run again."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest
from django.db import OperationalError, connection
from django.db import transaction as django_transaction

from oms.core.errors import Conflict, DeadlineExceeded
from oms.db.transactions import (
    DatabaseBusy,
    RetryTransaction,
    durable,
    transaction,
    transaction_required,
)
from oms.testing.factories import make_customer
from oms.testing.threads import at_once
from oms.users.models import User

pytestmark = pytest.mark.django_db(transaction=True)


def of_the_database(cause: type[psycopg.Error]) -> OperationalError:
    error = OperationalError("of the database")
    error.__cause__ = cause()
    return error


class Failing:
    """An operation that writes and then fails a number of times."""

    def __init__(self, error: Exception, times: int) -> None:
        self.error, self.left, self.calls = error, times, 0

    def __call__(self) -> None:
        self.calls += 1
        make_customer(full_name="written")
        if self.left:
            self.left -= 1
            raise self.error


def run(operation: Callable[[], None]) -> None:
    """Run it with the decorator."""

    @transaction
    def decorated() -> None:
        operation()

    decorated()


def written() -> int:
    return User.objects.filter(full_name="written").count()


@pytest.mark.parametrize(
    "error",
    [
        of_the_database(psycopg.errors.DeadlockDetected),
        of_the_database(psycopg.errors.SerializationFailure),
        RetryTransaction(),
    ],
)
def test_a_transaction_with_a_transient_error_is_retried(error: Exception) -> None:
    operation = Failing(error, times=2)

    run(operation)

    assert (operation.calls, written()) == (3, 1)


def test_after_three_attempts_it_is_busy_and_nothing_is_written() -> None:
    operation = Failing(RetryTransaction(), times=9)

    with pytest.raises(DatabaseBusy):
        run(operation)
    assert (operation.calls, written()) == (3, 0)


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (of_the_database(psycopg.errors.LockNotAvailable), DatabaseBusy),
        (of_the_database(psycopg.errors.QueryCanceled), DeadlineExceeded),
        (of_the_database(psycopg.OperationalError), OperationalError),
        (Conflict(), Conflict),
    ],
)
def test_nothing_else_is_run_again(error: Exception, raised: type[Exception]) -> None:
    operation = Failing(error, times=1)

    with pytest.raises(raised):
        run(operation)
    assert (operation.calls, written()) == (1, 0)


def test_a_joined_operation_is_undone_and_run_again_with_the_outermost() -> None:
    inner = Failing(RetryTransaction(), times=1)
    outer_calls = []

    def outer() -> None:
        outer_calls.append(1)
        make_customer(full_name="written")
        run(inner)

    run(outer)

    assert (len(outer_calls), inner.calls, written()) == (2, 2, 2)


def lock_crosswise(locking: Callable[[Callable[[], None]], None]) -> int:
    """Let two threads lock two rows in opposite order; returns how often one began."""
    users = [make_customer(), make_customer()]
    begun = []

    def lock(order: list[User]) -> None:
        begun.append(1)
        for user in order:
            User.objects.select_for_update().get(pk=user.pk)
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_sleep(0.2)")

    at_once(lambda: locking(lambda: lock(users)), lambda: locking(lambda: lock(users[::-1])))
    return len(begun)


def test_the_victim_of_a_deadlock_is_retried() -> None:
    assert lock_crosswise(run) == 3


def test_without_the_decorator_the_victim_fails() -> None:
    def alone(operation: Callable[[], None]) -> None:
        with django_transaction.atomic():
            operation()

    with pytest.raises(OperationalError, match="deadlock detected"):
        lock_crosswise(alone)


def test_the_decorators_refuse_the_wrong_surroundings() -> None:
    @transaction_required
    def part() -> str:
        return "part"

    @durable
    def whole() -> str:
        return "whole"

    with pytest.raises(RuntimeError, match="must run inside a transaction"):
        part()
    assert whole() == "whole"
    with django_transaction.atomic():
        assert part() == "part"
        with pytest.raises(RuntimeError, match="must not run inside a transaction"):
            whole()


@pytest.mark.django_db
def test_a_test_cases_own_transaction_does_not_count() -> None:
    """It hides what fails in production: there no transaction would be open."""

    @transaction_required
    def part() -> str:
        return "part"

    with pytest.raises(RuntimeError, match="must run inside a transaction"):
        part()
    with django_transaction.atomic():
        assert part() == "part"
