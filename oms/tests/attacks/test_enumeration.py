"""Who has an account, and which orders there are, cannot be found out by asking."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import argon2.low_level
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

import oms.settings
from oms.core.ids import new_id
from oms.testing.factories import PASSWORD, api_client, make_customer, make_staff
from oms.tests.attacks.shop import Shop
from oms.users.hashers import PasswordHasher
from oms.users.models import User

pytestmark = pytest.mark.django_db

HIDDEN = ("request_id",)


@pytest.fixture(autouse=True)
def argon(settings: Any) -> None:
    """The hashing of production, whose work is counted."""
    settings.PASSWORD_HASHERS = oms.settings.PASSWORD_HASHERS


@contextmanager
def counted_hashes(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[int, int, int]]]:
    """The costs (time, memory, threads) of each password hash that is computed inside."""
    costs: list[tuple[int, int, int]] = []
    compute, verify = argon2.low_level.hash_secret, argon2.low_level.verify_secret

    def computed(*args: Any, **options: Any) -> bytes:
        costs.append((options["time_cost"], options["memory_cost"], options["parallelism"]))
        return compute(*args, **options)

    def verified(hash: bytes, secret: bytes, type: Any) -> bool:
        found = argon2.extract_parameters(hash.decode())
        costs.append((found.time_cost, found.memory_cost, found.parallelism))
        return verify(hash, secret, type)

    with monkeypatch.context() as patch:
        patch.setattr("argon2.low_level.hash_secret", computed)
        patch.setattr("argon2._password_hasher.verify_secret", verified)
        yield costs


EMAILS = {
    "wrong password": "carla@example.com",
    "unknown": "unknown@example.com",
    "deactivated": "gone@example.com",
    "without a password": "invited@example.com",
}


@pytest.fixture
def accounts(db: None) -> None:
    make_staff(email=EMAILS["wrong password"])
    make_staff(email=EMAILS["deactivated"], is_active=False)
    User.objects.create_user(EMAILS["without a password"], None, full_name="Invited")


def test_logins_fail_with_the_same_answer_after_the_same_work(
    accounts: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    bodies, pages, work = set(), set(), []
    for email in EMAILS.values():
        password = PASSWORD if email == EMAILS["deactivated"] else "guess"
        with counted_hashes(monkeypatch) as costs:
            answer = api_client().post(reverse("token"), {"email": email, "password": password})
        problem = {k: v for k, v in answer.json().items() if k not in HIDDEN}
        bodies.add((answer.status_code, str(sorted(problem.items())), *sorted(_plain(answer))))
        work.append(list(costs))
        with counted_hashes(monkeypatch) as costs:
            page = Client().post("/admin/login/", {"username": email, "password": password})
        pages.add((page.status_code, len(page.content) - page.content.count(email.encode())))
        work.append(list(costs))

    assert len(bodies) == 1
    assert {status for status, *_ in pages} == {200}
    hasher = PasswordHasher
    cost = (hasher.time_cost, hasher.memory_cost, hasher.parallelism)
    assert work == [[cost]] * len(work)


def test_the_work_is_really_counted(accounts: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the hash for unknown accounts the test above fails."""
    monkeypatch.setattr("oms.users.operations.sessions.make_password", lambda password: "")
    credentials = {"email": EMAILS["unknown"], "password": "guess"}
    with counted_hashes(monkeypatch) as costs:
        assert api_client().post(reverse("token"), credentials).status_code == 401
    assert costs == []


def test_a_taken_address_costs_a_registration_the_same_work(
    accounts: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That it is taken is said by the contract; limits count who asks."""
    work = {}
    for email, status in ((EMAILS["wrong password"], 409), ("new@example.com", 201)):
        body = {"email": email, "password": PASSWORD, "full_name": "N"}
        with counted_hashes(monkeypatch) as costs:
            answer = api_client().post(reverse("user-list"), body)
        assert answer.status_code == status
        assert answer["RateLimit-Policy"].startswith('"register_address"')
        work[status] = list(costs)
    assert work[409] == work[201]
    assert len(work[201]) == 1


@pytest.mark.parametrize("name", ["order", "order-status", "order-payments", "user-detail"])
def test_ids_of_others_cost_the_same_statements_as_those_that_are_not_there(
    name: str, shop: Shop
) -> None:
    theirs = shop.owner.id if name == "user-detail" else shop.order.id
    stranger, statements = shop.client("stranger"), []
    for id in (theirs, new_id()):
        with CaptureQueriesContext(connection) as queries:
            assert stranger.get(reverse(name, kwargs={"id": id})).status_code == 404
        statements.append([query["sql"].split("WHERE")[0] for query in queries])

    assert statements[0] == statements[1]


def test_order_numbers_do_not_follow_one_another(shop: Shop) -> None:
    numbers = {shop.order.number, shop.paid.number}
    suffixes = {int(number.rpartition("-")[2], 36) for number in numbers}

    assert len(suffixes) == 2
    assert max(suffixes) - min(suffixes) > 1


def test_changing_an_address_to_a_taken_one_says_no_more_than_registering_does(
    shop: Shop,
) -> None:
    customer = make_customer()

    answer = api_client(customer).patch(reverse("user-me"), {"email": shop.owner.email})

    assert answer.status_code == 409
    assert answer.json()["code"] == "email_taken"
    assert str(shop.owner.id) not in answer.content.decode()
    assert shop.owner.full_name not in answer.content.decode()


def _plain(answer: Any) -> set[tuple[str, str]]:
    """The headers of an answer that are not about the request or a limit."""
    about = {"X-Request-ID", "RateLimit", "Content-Length"}
    return {(name, value) for name, value in answer.headers.items() if name not in about}
