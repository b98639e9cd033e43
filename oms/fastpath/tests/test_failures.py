"""Batches that fail: nothing is acknowledged that is not so, and nothing is done twice."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import pytest
from django.db import OperationalError, connection

from oms.fastpath.batches import answer_batch
from oms.fastpath.connections import driver_connection
from oms.fastpath.tests.calls import placing, statuses, terminate_own_connection, token_of
from oms.http.models import IdempotencyRecord
from oms.http.operations.idempotency import store_answers
from oms.queue.wakeups import wakeups_sent_by
from oms.testing.factories import make_customer, make_product
from oms.testing.ordering import stock_of
from orders.models import Order
from orders.operations import placing as operations

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_bug_in_one_call_does_not_affect_the_others() -> None:
    mug, users = make_product(), [make_customer() for _ in range(3)]
    calls = [placing((mug.id, 1), token=token_of(user), key="k") for user in users]
    real = operations._placed

    def buggy(placement: Any, **options: Any) -> Any:
        if placement.customer_id == users[1].id:
            raise ZeroDivisionError
        return real(placement, **options)

    with patch.object(operations, "_placed", buggy):
        answers = answer_batch(calls)

    assert statuses(answers) == [201, None, 201]
    assert Order.objects.count() == IdempotencyRecord.objects.count() == 2
    assert not Order.objects.filter(customer_id=users[1].id).exists()


def test_an_error_that_surfaces_late_is_not_an_acknowledgement() -> None:
    mug, token = make_product(), token_of(make_customer())
    numbers = iter(["20261121-AAAAAA", "20261121-AAAAAA", *(f"20261121-{n:06}" for n in range(9))])

    # Two orders draw one number; nobody fetches the insert's result before the commit.
    with patch.object(operations, "order_number", lambda **_: next(numbers)):
        answers = answer_batch([placing((mug.id, 1), token=token) for _ in range(2)])

    assert statuses(answers) == [201, 201]
    assert Order.objects.count() == 2
    assert {json.loads(one.body)["number"] for one in answers if one} == set(
        Order.objects.values_list("number", flat=True)
    )
    assert stock_of(mug) == (10, 2)


@contextmanager
def trigger(body: str) -> Any:
    """Let each order run that PL/pgSQL as its transaction commits."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"CREATE FUNCTION at_commit() RETURNS trigger LANGUAGE plpgsql AS"
            f" $$ BEGIN {body} RETURN NULL; END $$"
        )
        cursor.execute(
            "CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON orders_order"
            " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION at_commit()"
        )
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP FUNCTION at_commit CASCADE")


def test_a_failed_commit_is_not_acknowledged_and_wakes_no_worker() -> None:
    mug, customers = make_product(), [make_customer() for _ in range(3)]
    calls = [placing((mug.id, 1), token=token_of(user), key="k") for user in customers]
    woken: list[str] = []
    refuse = f"IF NEW.customer_id = '{customers[0].id}' THEN RAISE EXCEPTION 'no'; END IF;"

    with trigger(refuse), wakeups_sent_by(woken.append):
        assert statuses(answer_batch(calls[:1])) == [None]
        assert not woken
        assert statuses(answer_batch(calls)) == [None, 201, 201]

    assert woken
    assert Order.objects.count() == IdempotencyRecord.objects.count() == 2
    assert stock_of(mug) == (10, 2)


def test_a_lost_connection_costs_one_round_and_no_more() -> None:
    mug, token = make_product(), token_of(make_customer())
    calls = [placing((mug.id, 1), token=token, key=f"k{n}") for n in range(3)]
    terminate_own_connection()

    first, second = answer_batch(calls), answer_batch(calls)

    assert statuses(first) == [503] * 3
    assert statuses(second) == [201] * 3
    assert Order.objects.count() == 3


def test_a_connection_lost_at_the_commit_acknowledges_nothing() -> None:
    mug, token = make_product(), token_of(make_customer())
    call = placing((mug.id, 1), token=token, key="k")

    with trigger("PERFORM pg_terminate_backend(pg_backend_pid());"):
        answers = answer_batch([call])

    assert statuses(answers) == [503]
    assert not Order.objects.exists()
    assert statuses(answer_batch([call])) == [201]
    assert Order.objects.count() == 1


def test_a_commit_whose_answer_is_lost_is_not_done_again() -> None:
    mug, token = make_product(), token_of(make_customer())
    calls = [placing((mug.id, 1), token=token, key=f"k{n}") for n in range(3)]
    commit = connection._commit  # type: ignore[attr-defined]  # the stubs leave it out

    def commit_and_lose_the_answer() -> None:
        commit()
        connection.connection.close()
        raise OperationalError("the connection is lost")

    with patch.object(connection, "_commit", commit_and_lose_the_answer):
        answers = answer_batch(calls)

    assert statuses(answers) == [503] * 3
    assert Order.objects.count() == 3
    # Each client learns by its key.
    learnt = answer_batch(calls)
    assert statuses(learnt) == [201] * 3
    assert all("Idempotent-Replayed" in one.headers for one in learnt if one)
    assert Order.objects.count() == 3


def test_a_late_failure_is_retried_on_the_same_connection() -> None:
    """To roll back in a broken pipeline would cost the connection, and so every client a 503."""
    token = token_of(make_customer())
    calls = [placing((make_product().id, 1), token=token, key=f"k{n}") for n in range(3)]
    left = iter(range(2))

    def failing(*arguments: Any, **options: Any) -> None:
        if next(left, None) is not None:
            with connection.cursor() as cursor:
                cursor.execute("DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '40P01'; END $$")
            time.sleep(0.05)  # the error is there when the next statement is sent
        store_answers(*arguments, **options)

    before = driver_connection()
    with patch("oms.fastpath.batches.store_answers", failing):
        answers = answer_batch(calls)

    assert statuses(answers) == [201, 201, 201]
    assert driver_connection() is before
    assert Order.objects.count() == 3
