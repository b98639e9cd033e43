"""The fast path and Django answer the same: statuses, bodies and every header."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch
from uuid import UUID

import pytest
from pytest_django.fixtures import Settings

from oms.core.ids import new_id
from oms.db.transactions import DatabaseBusy
from oms.fastpath.tests.parity import Both, compared
from oms.http.local_counters import local_counters
from oms.testing.factories import make_customer, make_product, make_staff
from oms.testing.ordering import ADDRESS, place
from oms.users.models import User
from orders.models import Order

pytestmark = pytest.mark.django_db


def body(*lines: tuple[UUID, int]) -> dict[str, Any]:
    return {
        "items": [{"product_id": str(id), "quantity": quantity} for id, quantity in lines],
        "shipping_address": {k: v for k, v in ADDRESS.items() if v},
    }


@pytest.fixture
def both() -> Both:
    return Both(make_customer())


def test_placing_has_the_same_headers(both: Both) -> None:
    answer = both.same("post", "/api/v1/orders", body((make_product().id, 1)))

    assert answer.status_code == 201
    assert Order.objects.count() == 2


def test_a_shortage_has_the_same_headers(both: Both) -> None:
    answer = both.same("post", "/api/v1/orders", body((make_product(stock=0).id, 1)))

    assert answer.status_code == 409


def test_placing_in_bulk_has_the_same_headers(both: Both) -> None:
    document = {"orders": [body((make_product().id, 1))], "on_error": "continue"}

    answer = both.same("post", "/api/v1/orders/bulk", document)

    assert answer.status_code == 207


@pytest.mark.parametrize("suffix", ["", "/status"])
def test_reading_has_the_same_headers(both: Both, suffix: str) -> None:
    user = User.objects.get()
    path = f"/api/v1/orders/{place((make_product(), 1), customer=user).id}{suffix}"

    shown = both.same("get", path)
    unchanged = both.same("get", path, headers={"If-None-Match": shown["ETag"]})
    other = both.same("get", path, headers={"If-None-Match": '"v9", W/"x"'})
    malformed = both.same("get", path, headers={"If-None-Match": "v1"})
    missing = both.same("get", f"/api/v1/orders/{new_id()}{suffix}")

    statuses = [a.status_code for a in (shown, unchanged, other, malformed, missing)]
    assert statuses == [200, 304, 200, 400, 404]
    assert unchanged.content == b""
    assert both.django.get(path).content == shown.content


def test_a_replay_is_the_same_on_either_front(both: Both) -> None:
    document = body((make_product().id, 1))
    answers = []
    for first, second in [(both.fast, both.django), (both.django, both.fast)]:
        headers = {"Idempotency-Key": str(new_id())}
        once = first.post("/api/v1/orders", document, headers=headers)
        again = second.post("/api/v1/orders", document, headers=headers)

        assert (once.status_code, again.status_code) == (201, 201)
        assert again.content == once.content
        assert again.headers["Idempotent-Replayed"] == "true"
        assert again.headers["Location"] == once.headers["Location"]
        answers += [compared(once), compared(again)]

    by_fast_path, by_django_again, by_django, by_fast_path_again = answers
    assert by_fast_path == by_django
    assert by_fast_path_again == by_django_again
    assert both.fast.taken == [True, True]
    assert Order.objects.count() == 2


def test_a_refusal_is_replayed_the_same(both: Both) -> None:
    mug = make_product(stock=0)
    document = body((mug.id, 1))
    for first, second in [(both.fast, both.django), (both.django, both.fast)]:
        headers = {"Idempotency-Key": str(new_id())}
        once = first.post("/api/v1/orders", document, headers=headers)
        again = second.post("/api/v1/orders", document, headers=headers)

        assert once.status_code == again.status_code == 409
        assert again.content == once.content
        assert compared(again) == {**compared(once), "Idempotent-Replayed": "true"}


def test_a_key_with_another_body_is_refused_the_same(both: Both) -> None:
    mug, key = make_product(), {"Idempotency-Key": "k"}
    both.fast.post("/api/v1/orders", body((mug.id, 1)), headers=key)

    answer = both.same("post", "/api/v1/orders", body((mug.id, 2)), headers=key)

    assert answer.status_code == 422
    assert Order.objects.count() == 1


@pytest.mark.parametrize("name", ["place_user", "general_user"])
def test_the_limit_answers_the_same(both: Both, settings: Settings, name: str) -> None:
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, name: "1/hour"}
    order = place((make_product(), 1), customer=User.objects.get())
    question: tuple[Any, ...] = ("get", f"/api/v1/orders/{order.id}")
    if name == "place_user":
        question = ("post", "/api/v1/orders", body((make_product().id, 1)))
    method, *rest = question
    assert getattr(both.fast, method)(*rest).status_code in (200, 201)

    answer = both.same(*question)

    assert answer.status_code == 429


@pytest.mark.parametrize("has_redis", [True, False])
def test_a_call_that_the_fast_path_leaves_to_django_counts_once(
    both: Both, settings: Settings, has_redis: bool
) -> None:
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "place_user": "1/hour"}
    document = body((make_product().id, 1))

    if not has_redis:
        settings.REDIS_URL = "redis://127.0.0.1:1/0"
    try:
        with patch("oms.fastpath.batches.with_retries", side_effect=DatabaseBusy):
            answer = both.fast.post("/api/v1/orders", document)

        assert both.fast.taken == [False]
        assert answer.status_code == 201, answer.content
        assert both.fast.post("/api/v1/orders", document).status_code == 429
    finally:
        local_counters.reset()


@pytest.mark.parametrize("by", ["customer", "staff", "another"])
def test_the_fast_path_shows_each_role_what_django_shows(by: str) -> None:
    owner = make_customer()
    order = place((make_product(), 1), customer=owner, token="tok_success")
    user = {"customer": lambda: owner, "staff": make_staff, "another": make_customer}[by]()
    both = Both(user)
    for path in (f"/api/v1/orders/{order.id}", f"/api/v1/orders/{order.id}/status"):
        by_fast_path = both.same("get", path)
        by_django = both.django.get(path)

        if by == "another":
            assert by_fast_path.status_code == 404
        else:
            assert by_fast_path.content == by_django.content


@pytest.mark.parametrize(
    "headers",
    [
        {"Cookie": "django_language=de"},
        {"Accept-Language": "de"},
        {"Accept-Language": "x" * 3000},
        {"X-Request-ID": "bad id"},
        {"If-Match": '"v1"'},
        {"X-Request-Timeout-Ms": "30000"},
        {"X-Request-Timeout-Ms": "soon"},
        {"Accept": "text/html"},
        {"Content-Encoding": "gzip"},
        {"Idempotency-Key": "with space"},
        {"Authorization": "bearer x"},
        {"Authorization": "Basic eA=="},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer a b"},
        {"Authorization": ""},
    ],
)
def test_unusual_headers_are_answered_the_same(both: Both, headers: dict[str, str]) -> None:
    document = body((make_product().id, 1))
    if "Authorization" in headers:
        both.present(headers["Authorization"])

    by_django = both.django.post("/api/v1/orders", document, headers=headers)
    by_fast_path = both.fast.post("/api/v1/orders", document, headers=headers)

    assert by_fast_path.status_code == by_django.status_code
    assert compared(by_fast_path) == compared(by_django)


@pytest.mark.parametrize("junk", [" x", "\tx", " ", "  "])
def test_a_token_with_junk_in_it_is_refused_as_django_does(both: Both, junk: str) -> None:
    order = place((make_product(), 1), customer=User.objects.get())
    both.present(f"Bearer {both.token[:-4]}{junk}{both.token[-4:]}")

    answer = both.same("get", f"/api/v1/orders/{order.id}", taken=False)

    assert answer.status_code == 401
