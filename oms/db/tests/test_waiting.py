"""Every wait for PostgreSQL has a bound of our own, also while its process hangs."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from django.db import OperationalError, connection, transaction
from pytest_django.fixtures import Settings

from oms.core.deadline import deadline_in
from oms.users.models import User

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def connected() -> Iterator[None]:
    """Outside a request nobody closes a lost connection."""
    yield
    connection.close()


def backend() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        [pid] = cursor.fetchone()
    return int(pid)


@contextmanager
def hung_backend() -> Iterator[int]:
    """This thread's PostgreSQL process makes no progress within the block."""
    pid = backend()
    os.kill(pid, signal.SIGSTOP)
    try:
        yield pid
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_statement_waits_for_what_is_left_of_the_deadline() -> None:
    with hung_backend() as pid:
        began = time.monotonic()
        with deadline_in(seconds=0.5), pytest.raises(OperationalError, match="has not answered"):
            User.objects.count()
        assert 0.3 < time.monotonic() - began < 3

        # The next request has another connection.
        connection.close_if_unusable_or_obsolete()
        assert backend() != pid


def test_a_statement_waits_for_the_limit_of_answers_at_most(settings: Settings) -> None:
    settings.DB_ANSWER_TIMEOUT_MS = 300
    with hung_backend():
        began = time.monotonic()
        with deadline_in(seconds=60), pytest.raises(OperationalError, match="has not answered"):
            User.objects.count()
        assert time.monotonic() - began < 3


def add_user_and(then: Callable[[], object]) -> None:
    with transaction.atomic():
        User.objects.create(email="a@example.com")
        then()


def test_a_commit_is_waited_for_no_longer() -> None:
    pid = backend()
    began = time.monotonic()
    try:
        with deadline_in(seconds=1), pytest.raises(OperationalError, match="has not answered"):
            add_user_and(lambda: os.kill(pid, signal.SIGSTOP))
    finally:
        os.kill(pid, signal.SIGCONT)

    assert time.monotonic() - began < 3


def test_a_late_transaction_is_rolled_back_on_its_connection() -> None:
    pid = backend()

    def fail() -> None:
        raise ZeroDivisionError

    with deadline_in(seconds=0), pytest.raises(ZeroDivisionError):
        add_user_and(fail)

    assert backend() == pid
    assert not User.objects.exists()


def test_an_idle_connection_that_hangs_is_replaced_before_a_request_uses_it() -> None:
    with hung_backend() as pid:
        connection.close_if_unusable_or_obsolete()  # what begins a request
        began = time.monotonic()
        assert User.objects.count() == 0
        assert time.monotonic() - began < 3
        assert backend() != pid


def test_without_a_deadline_a_statement_is_waited_for() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(0.5)")
        assert cursor.fetchone() is not None
