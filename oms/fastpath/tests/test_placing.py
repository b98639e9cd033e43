"""Batches of placings: one transaction, with independent results."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings

from oms.db.libpq import RoundTrip
from oms.events.models import Event
from oms.fastpath.batches import answer_batch
from oms.fastpath.process_lock import HeldLock
from oms.fastpath.tests.calls import (
    accepted,
    call_of,
    login,
    order_body,
    placing,
    request,
    statuses,
    token_of,
)
from oms.http.local_counters import local_counters
from oms.http.models import IdempotencyRecord
from oms.http.rate_limits import Limit, count
from oms.testing.factories import make_customer, make_product
from oms.testing.ordering import stock_of
from oms.users.models import Session, User
from orders.models import Order

pytestmark = pytest.mark.django_db(transaction=True)


def statements_of(work: Callable[[], object]) -> list[str]:
    """The statements that `work` sends, beginnings and ends of transactions among them."""
    with CaptureQueriesContext(connection) as captured:
        work()
    return [query["sql"] for query in captured.captured_queries]


def test_a_batch_of_any_size_is_one_transaction_of_the_same_statements() -> None:
    tokens = [token_of(make_customer()) for _ in range(10)]
    products = [make_product(stock=1_000).id for _ in range(5)]

    def placed(size: int) -> list[str]:
        calls = [
            placing((products[n % 5], 1), token=tokens[n % 10], key=f"{size}-{n}")
            for n in range(size)
        ]
        return statements_of(lambda: answers.append(statuses(answer_batch(calls))))

    answers: list[list[int | None]] = []
    sent = {size: placed(size) for size in (1, 10, 50)}

    assert answers == [[201] * 1, [201] * 10, [201] * 50]
    assert len(sent[1]) == len(sent[10]) == len(sent[50])
    for statements in sent.values():
        assert sum(sql.startswith("BEGIN") for sql in statements) == 1
        assert sum(sql.startswith("COMMIT") for sql in statements) == 1
        assert not [sql for sql in statements if sql.startswith(("SAVEPOINT", "ROLLBACK"))]
    assert Order.objects.count() == IdempotencyRecord.objects.count() == 61


def test_the_process_lock_is_released_when_the_write_is_sent_and_before_its_result(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    happened: list[str] = []
    send, receive = RoundTrip.send, RoundTrip.receive

    def sending(trip: Any) -> None:
        send(trip)
        happened.append("sent")

    def receiving(trip: Any) -> None:
        happened.append("received")
        receive(trip)

    class Held(HeldLock):
        def release(self) -> None:
            happened.append("released")

    call = placing((make_product(stock=1).id, 1), token=token_of(make_customer()), key="a")
    monkeypatch.setattr(RoundTrip, "send", sending)
    monkeypatch.setattr(RoundTrip, "receive", receiving)
    assert statuses(answer_batch([call], lock=Held(None))) == [201]

    assert happened == ["sent", "received", "sent", "released", "received"]


def test_a_short_order_does_not_disturb_the_others_of_its_batch() -> None:
    mug, rare = make_product(stock=9), make_product(stock=1)
    tokens = [token_of(make_customer()) for _ in range(4)]
    calls = [
        placing((mug.id, 1), token=tokens[0]),
        placing((mug.id, 1), (rare.id, 2), token=tokens[1], key="short"),
        placing((rare.id, 1), token=tokens[2]),
        placing((mug.id, 1), token=tokens[3]),
    ]

    answers = answer_batch(calls)

    assert statuses(answers) == [201, 409, 201, 201]
    assert stock_of(mug) == (9, 2)
    assert stock_of(rare) == (1, 1)
    [refused] = [one for one in answers if one and one.status == 409]
    assert json.loads(refused.body)["code"] == "out_of_stock"
    # A refusal is an answer: it is kept with its key, though it had no effect.
    assert IdempotencyRecord.objects.get().status == 409


def test_who_is_not_signed_in_any_more_is_left_to_django() -> None:
    mug = make_product()
    revoked, deactivated, well = (make_customer() for _ in range(3))
    calls = [placing((mug.id, 1), token=token_of(user)) for user in (revoked, deactivated, well)]
    Session.objects.filter(user=revoked).update(revoked_at="2026-01-01T00:00Z")
    User.objects.filter(pk=deactivated.pk).update(is_active=False)

    answers = answer_batch(calls)

    assert statuses(answers) == [None, None, 201]
    assert Order.objects.get().customer_id == well.id


def test_whose_session_is_over_has_nothing_locked_for_them_again() -> None:
    mug, user = make_product(), make_customer()
    wanted = request("POST", "/api/v1/orders", token=token_of(user), body=order_body((mug.id, 1)))
    Session.objects.filter(user=user).update(revoked_at="2026-01-01T00:00Z")

    assert statuses(answer_batch([accepted(wanted)])) == [None]

    assert call_of(wanted) is None


def test_a_session_speaks_for_its_own_user_only() -> None:
    mug, one, other = make_product(), make_customer(), make_customer()
    call = placing((mug.id, 1), token=token_of(one))
    Session.objects.filter(user=one).update(user=other)

    assert statuses(answer_batch([call])) == [None]
    assert not Order.objects.exists()


def test_who_became_staff_acts_as_staff_with_the_same_token() -> None:
    mug, user = make_product(), make_customer()
    token = token_of(user)
    User.objects.filter(pk=user.pk).update(is_staff=True)

    assert statuses(answer_batch([placing((mug.id, 1), token=token)])) == [201]
    assert Event.objects.get(type="order.placed").actor_kind == "staff"


def test_calls_of_one_key_in_one_batch_have_one_effect() -> None:
    mug, token = make_product(), token_of(make_customer())
    same = [placing((mug.id, 1), token=token, key="k") for _ in range(5)]
    other = placing((mug.id, 2), token=token, key="k")

    answers = answer_batch([*same, other])

    assert statuses(answers) == [201] * 5 + [422]
    assert len({one.body for one in answers[:5] if one}) == 1
    replayed = ["Idempotent-Replayed" in one.headers for one in answers if one]
    assert replayed == [False, True, True, True, True, False]
    assert Order.objects.count() == 1
    assert stock_of(mug) == (10, 1)


def test_a_key_belongs_to_its_user() -> None:
    mug = make_product()
    calls = [placing((mug.id, 1), token=token_of(make_customer()), key="k") for _ in range(2)]

    assert statuses(answer_batch(calls)) == [201, 201]
    assert Order.objects.count() == 2


@contextmanager
def held_by_another(product_id: UUID) -> Any:
    """Keep the product's stock locked, as another process would."""
    other = psycopg.connect(**login())
    try:
        other.execute(
            "SELECT 1 FROM inventory_stocklevel WHERE product_id = %s FOR UPDATE", [product_id]
        )
        yield
    finally:
        other.close()


def test_a_locked_product_delays_its_own_buyers_only(settings: Settings) -> None:
    settings.FAST_PATH_LOCK_TIMEOUT_MS = 500
    mug, locked = make_product(stock=100), make_product(stock=100)
    tokens = [token_of(make_customer()) for _ in range(20)]
    calls = [
        placing(((locked if n % 2 else mug).id, 1), token=token) for n, token in enumerate(tokens)
    ]

    with held_by_another(locked.id):
        answers, retried = timed(lambda: answer_batch(calls))

    assert statuses(answers) == [201, None] * 10
    assert stock_of(mug) == (100, 10)
    assert stock_of(locked) == (100, 0)
    # The patience of a batch is spent once, not once for each of the ten who wait.
    assert retried < 0.5 * 10
    assert statuses(answer_batch(calls[1::2])) == [201] * 10


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    begun = time.perf_counter()
    done = work()
    return done, time.perf_counter() - begun


def test_the_limit_of_a_user_holds_exactly_within_a_batch(settings: Settings) -> None:
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "place_user": "3/hour"}
    mug, greedy, modest = make_product(), make_customer(), make_customer()
    tokens = [token_of(greedy)] * 5 + [token_of(modest)]

    answers = answer_batch([placing((mug.id, 1), token=token) for token in tokens])

    assert statuses(answers) == [201, 201, 201, 429, 429, 201]
    [state] = count([Limit(name="place_user", subject=str(modest.id))])
    assert state.remaining == 1


def test_a_body_is_not_decoded_for_a_request_past_the_limit(settings: Settings) -> None:
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "place_user": "1/hour"}
    token, malformed = token_of(make_customer()), b"[" * 1_000
    headers = {"content-type": "application/json", "content-length": str(len(malformed))}
    sent = request("POST", "/api/v1/orders", token=token, body=malformed.decode())
    sent = replace(sent, headers={**sent.headers, **headers}, body=malformed)
    limit = accepted(sent).limit
    assert limit is not None
    count([limit])

    [refused] = answer_batch([accepted(sent)])
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "place_user": "9/hour"}
    [left_to_django] = answer_batch([accepted(sent)])

    assert refused is not None
    assert refused.status == 429
    assert left_to_django is None


@pytest.mark.parametrize("authorization", ["", "Bearer x.y.z"])
def test_a_body_without_a_valid_token_is_left_unread(authorization: str) -> None:
    sent = request("POST", "/api/v1/orders/bulk", token="", body={"orders": []})
    headers = {name: value for name, value in sent.headers.items() if name != "authorization"}
    if authorization:
        headers["authorization"] = authorization

    assert call_of(replace(sent, headers=headers)) is None


def test_without_redis_orders_are_placed_and_limits_are_reported(settings: Settings) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    mug, token = make_product(), token_of(make_customer())

    answers = answer_batch([placing((mug.id, 1), token=token) for _ in range(3)])
    local_counters.reset()

    assert statuses(answers) == [201] * 3
    assert all("RateLimit" in one.headers for one in answers if one)
