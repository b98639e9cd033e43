"""The lane and Django answer the same: statuses, bodies and every header."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from unittest.mock import patch
from uuid import UUID

import pytest
from pytest_django.fixtures import Settings
from rest_framework.test import APIClient

from oms.core.db import DatabaseBusy
from oms.core.ids import new_id
from oms.testing.factories import make_customer, make_product, make_staff, tokens_for
from oms.testing.lane import LaneClient
from oms.testing.ordering import ADDRESS, place
from oms.users.models import User
from orders.models import Order

pytestmark = pytest.mark.django_db

# What two answers to one question must not share, and times.
_DIFFER = frozenset({"X-Request-ID", "Location", "RateLimit", "Retry-After"})


def body(*lines: tuple[UUID, int]) -> dict[str, Any]:
    return {
        "items": [{"product_id": str(id), "quantity": quantity} for id, quantity in lines],
        "shipping_address": {k: v for k, v in ADDRESS.items() if v},
    }


class Both:
    """One user's two clients, of Django alone and of the lane, with one session."""

    def __init__(self, user: User) -> None:
        self.token = tokens_for(user).access
        self.django, self.lane = APIClient(), LaneClient()
        self.present(f"Bearer {self.token}")

    def present(self, credentials: str) -> None:
        """Let both clients send that as their Authorization."""
        for client in (self.django, self.lane):
            client.credentials(HTTP_AUTHORIZATION=credentials)

    def same(self, method: str, path: str, *args: Any, taken: bool = True, **options: Any) -> Any:
        """The lane's answer, which is Django's but for what must differ."""
        by_django = getattr(self.django, method)(path, *args, **options)
        by_lane = getattr(self.lane, method)(path, *args, **options)
        assert self.lane.taken[-1] is taken
        assert by_lane.status_code == by_django.status_code, by_lane.content
        assert compared(by_lane) == compared(by_django)
        return by_lane


def compared(answer: Any) -> Mapping[str, str]:
    headers = {name: value for name, value in answer.headers.items() if name not in _DIFFER}
    if answer.status_code == 201:
        headers.pop("Content-Length", None)  # prices of one length, but nobody promised
    if answer.status_code == 304:
        headers.pop("Content-Length", None)  # which the server leaves out of both
    present = {name: "…" for name in _DIFFER if name in answer.headers}
    return {**headers, **present}


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


def test_a_replay_is_the_same_whoever_answered_first_and_second(both: Both) -> None:
    document = body((make_product().id, 1))
    answers = []
    for first, second in [(both.lane, both.django), (both.django, both.lane)]:
        headers = {"Idempotency-Key": str(new_id())}
        once = first.post("/api/v1/orders", document, headers=headers)
        again = second.post("/api/v1/orders", document, headers=headers)

        assert (once.status_code, again.status_code) == (201, 201)
        assert again.content == once.content
        assert again.headers["Idempotent-Replayed"] == "true"
        assert again.headers["Location"] == once.headers["Location"]
        answers += [compared(once), compared(again)]

    by_lane, by_django_again, by_django, by_lane_again = answers
    assert by_lane == by_django
    assert by_lane_again == by_django_again
    assert both.lane.taken == [True, True]
    assert Order.objects.count() == 2


def test_a_refusal_is_replayed_the_same(both: Both) -> None:
    mug = make_product(stock=0)
    document = body((mug.id, 1))
    for first, second in [(both.lane, both.django), (both.django, both.lane)]:
        headers = {"Idempotency-Key": str(new_id())}
        once = first.post("/api/v1/orders", document, headers=headers)
        again = second.post("/api/v1/orders", document, headers=headers)

        assert once.status_code == again.status_code == 409
        assert again.content == once.content
        assert compared(again) == {**compared(once), "Idempotent-Replayed": "true"}


def test_a_key_with_another_body_is_refused_the_same(both: Both) -> None:
    mug, key = make_product(), {"Idempotency-Key": "k"}
    both.lane.post("/api/v1/orders", body((mug.id, 1)), headers=key)

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
    assert getattr(both.lane, method)(*rest).status_code in (200, 201)

    answer = both.same(*question)

    assert answer.status_code == 429


def test_a_call_that_the_lane_gives_back_counts_once(both: Both, settings: Settings) -> None:
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "place_user": "1/hour"}
    document = body((make_product().id, 1))

    with patch("oms.edge.placing._in_one_transaction", side_effect=DatabaseBusy):
        answer = both.lane.post("/api/v1/orders", document)

    assert both.lane.taken == [False]
    assert answer.status_code == 201, answer.content
    assert both.lane.post("/api/v1/orders", document).status_code == 429


@pytest.mark.parametrize("by", ["customer", "staff", "another"])
def test_everyone_sees_by_the_lane_what_django_shows(by: str) -> None:
    owner = make_customer()
    order = place((make_product(), 1), customer=owner, token="tok_success")
    user = {"customer": lambda: owner, "staff": make_staff, "another": make_customer}[by]()
    both = Both(user)
    for path in (f"/api/v1/orders/{order.id}", f"/api/v1/orders/{order.id}/status"):
        by_lane = both.same("get", path)
        by_django = both.django.get(path)

        if by == "another":
            assert by_lane.status_code == 404
        else:
            assert by_lane.content == by_django.content


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
def test_odd_headers_are_answered_the_same(both: Both, headers: dict[str, str]) -> None:
    document = body((make_product().id, 1))
    if "Authorization" in headers:
        both.present(headers["Authorization"])

    by_django = both.django.post("/api/v1/orders", document, headers=headers)
    by_lane = both.lane.post("/api/v1/orders", document, headers=headers)

    assert by_lane.status_code == by_django.status_code
    assert compared(by_lane) == compared(by_django)


@pytest.mark.parametrize("junk", [" x", "\tx", " ", "  "])
def test_a_token_with_junk_in_it_is_refused_as_django_does(both: Both, junk: str) -> None:
    order = place((make_product(), 1), customer=User.objects.get())
    both.present(f"Bearer {both.token[:-4]}{junk}{both.token[-4:]}")

    answer = both.same("get", f"/api/v1/orders/{order.id}", taken=False)

    assert answer.status_code == 401


def _odd_bodies(product_id: str) -> list[bytes]:
    good = {**body(), "items": [{"product_id": product_id, "quantity": 1}]}

    def changed(**changes: Any) -> bytes:
        return json.dumps({**good, **changes}).encode()

    def line(**changes: Any) -> bytes:
        return changed(items=[{"product_id": product_id, "quantity": 1, **changes}])

    text = json.dumps(good)
    return [
        b"",
        b"null",
        b"[]",
        b"\xef\xbb\xbf" + text.encode(),
        text.encode("utf-16"),
        b" \n" + text.encode() + b"\t ",
        text.encode() + b"x",
        text.replace('"quantity"', '"quantity": 5, "quantity"').encode(),
        text.replace('"quantity"', '"\\u0071uantity"').encode(),
        text.replace('"quantity": 1', '"quantity": 1.0').encode(),
        text.replace('"quantity": 1', '"quantity": 1e0').encode(),
        text.replace('"quantity": 1', '"quantity": -0').encode(),
        text.replace('"quantity": 1', '"quantity": 100000000000000000000000000000').encode(),
        text.replace('"quantity": 1', '"quantity": NaN').encode(),
        line(quantity="1"),
        line(quantity=True),
        line(quantity=0),
        line(price="0.01"),
        line(product_id=product_id.upper()),
        line(product_id=product_id.replace("-", "")),
        line(product_id=f"{{{product_id}}}"),
        line(product_id=f"urn:uuid:{product_id}"),
        line(product_id=str(new_id())),
        changed(items=[{"product_id": product_id, "quantity": 1}] * 2),
        changed(items=[{"product_id": p, "quantity": 1} for p in (product_id, product_id.upper())]),
        changed(items=[]),
        changed(note=""),
        changed(note="a\u0000b"),
        changed(note="\ud800"),
        changed(note=" padded "),
        changed(note="\u200b\u2028\ufeff\U0001f600"),
        changed(note="x" * 70_000),
        changed(note=None),
        changed(payment=None),
        changed(payment={"provider": "nobody", "token": "x"}),
        changed(payment={"provider": "sandbox", "token": "tok_success"}),
        changed(customer_id=product_id),
        changed(status="paid"),
        changed(total="0.00"),
        changed(is_staff=True),
        changed(shipping_address={**good["shipping_address"], "country": "de"}),
        changed(shipping_address={**good["shipping_address"], "country": "ZZ"}),
        changed(shipping_address={**good["shipping_address"], "name": ""}),
        changed(shipping_address={"deep": [[[[]]]]}),
    ]


def test_odd_bodies_are_answered_the_same_and_do_the_same(both: Both) -> None:
    mug = make_product(stock=10_000)

    for odd in _odd_bodies(str(mug.id)):
        answers, effects = [], []
        for client in (both.django, both.lane):
            before = Order.objects.count()
            answers.append(client.post("/api/v1/orders", odd, content_type="application/json"))
            effects.append(Order.objects.count() - before)
        by_django, by_lane = answers

        assert by_lane.status_code == by_django.status_code, (odd, by_lane.content)
        assert compared(by_lane).keys() == compared(by_django).keys()
        assert lasting(by_lane) == lasting(by_django), odd
        assert effects[0] == effects[1] == (by_django.status_code == 201), odd
    assert 0 < sum(both.lane.taken) < len(both.lane.taken)


def lasting(answer: Any) -> Any:
    """The document of an answer without what is new in each."""
    fresh = {"id", "number", "request_id", "placed_at", "updated_at", "expires_at", "items"}
    document = answer.json()
    items = document.get("items", [])
    return [
        {name: value for name, value in document.items() if name not in fresh},
        [{name: value for name, value in item.items() if name != "id"} for item in items],
    ]
