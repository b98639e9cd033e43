"""Wrong passwords from anywhere do not lock the right owner out, at neither login."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from oms.core import clock
from oms.http.local_counters import local_counters
from oms.testing.factories import PASSWORD, api_client, make_staff
from oms.users.models import KnownAddress, User
from oms.users.operations.known_addresses import purge_known_addresses

pytestmark = pytest.mark.django_db

HOME, ELSEWHERE, MOBILE = "198.51.100.7", "203.0.113.66", "2001:db8:1:2:3::4"
UNREACHABLE = "redis://127.0.0.1:1/0"


def by_api(email: str, password: str, address: str, client: Any = None) -> int:
    body = json.dumps({"email": email, "password": password})
    answer = (client or api_client()).post(
        "/api/v1/auth/token", body, content_type="application/json", REMOTE_ADDR=address
    )
    # 401 and 200 say the same as the back office's 200 and 302.
    return {200: 302, 401: 200}.get(answer.status_code, answer.status_code)


def by_back_office(email: str, password: str, address: str, client: Any = None) -> int:
    form = {"username": email, "password": password}
    answer = (client or Client()).post("/admin/login/", form, REMOTE_ADDR=address)
    return int(answer.status_code)


Login = Callable[..., int]
REFUSED, WELCOME, LIMITED = 200, 302, 429


@pytest.fixture(params=[by_api, by_back_office])
def log_in(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(autouse=True)
def limits(settings: Any) -> None:
    # A window that does not end within a test.
    limits = {"token_account": "10/day", "token_address": "1000/day"}
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, **limits}
    local_counters.reset()


@pytest.fixture
def sam() -> User:
    return make_staff(email="sam@example.com")


def attack(log_in: Login, email: str = "sam@example.com") -> None:
    """Use up all attempts of strangers."""
    statuses = [log_in(email, f"guess {n}", f"192.0.2.{n}") for n in range(11)]
    assert statuses[0] == REFUSED
    assert statuses[-1] == LIMITED


def forget() -> None:
    """Let no address be known any more: the negative control."""
    KnownAddress.objects.all().delete()


@pytest.mark.parametrize("earlier", [by_api, by_back_office])
def test_the_owner_gets_in_from_an_address_of_an_earlier_login(
    log_in: Login, earlier: Login, sam: User
) -> None:
    assert earlier(sam.email, PASSWORD, HOME) == WELCOME
    attack(log_in)

    assert log_in("SAM@Example.com", PASSWORD, HOME) == WELCOME
    assert log_in(sam.email, PASSWORD, ELSEWHERE) == LIMITED
    forget()
    assert log_in(sam.email, PASSWORD, HOME) == LIMITED


def test_the_known_address_has_a_limit_of_its_own(log_in: Login, sam: User) -> None:
    log_in(sam.email, PASSWORD, HOME)

    statuses = [log_in(sam.email, "guess", HOME) for _ in range(11)]

    assert statuses == [REFUSED] * 10 + [LIMITED]
    # And does not lock out those who come from elsewhere.
    assert log_in(sam.email, PASSWORD, ELSEWHERE) == WELCOME


def test_one_subscriber_of_ipv6_is_known_as_a_whole(log_in: Login, sam: User) -> None:
    log_in(sam.email, PASSWORD, MOBILE)
    attack(log_in)

    assert log_in(sam.email, PASSWORD, "2001:db8:1:2:ffff::1") == WELCOME
    assert log_in(sam.email, PASSWORD, "2001:db8:1:3::4") == LIMITED


def test_an_address_is_known_for_the_accounts_that_logged_in_there_alone(
    log_in: Login, sam: User
) -> None:
    eva = make_staff(email="eva@example.com")
    log_in(eva.email, PASSWORD, HOME)
    attack(log_in)

    assert log_in(sam.email, PASSWORD, HOME) == LIMITED


def test_wrong_passwords_make_no_address_known(log_in: Login, sam: User) -> None:
    log_in(sam.email, "guess", HOME)

    assert not KnownAddress.objects.exists()


def test_an_address_is_known_for_thirty_days(log_in: Login, sam: User) -> None:
    log_in(sam.email, PASSWORD, HOME)
    attack(log_in)

    KnownAddress.objects.update(used_at=clock.now() - timedelta(days=29, hours=23))
    assert log_in(sam.email, PASSWORD, HOME) == WELCOME
    KnownAddress.objects.update(used_at=clock.now() - timedelta(days=30, seconds=1))
    assert log_in(sam.email, PASSWORD, HOME) == LIMITED


def test_a_session_that_is_used_keeps_its_address_known(sam: User) -> None:
    client = api_client()
    credentials = {"email": sam.email, "password": PASSWORD}
    pair = client.post("/api/v1/auth/token", credentials, REMOTE_ADDR=HOME).json()
    KnownAddress.objects.update(used_at=clock.now() - timedelta(days=40))

    client.post("/api/v1/auth/token/refresh", {"refresh": pair["refresh"]}, REMOTE_ADDR=HOME)
    attack(by_api)

    assert by_api(sam.email, PASSWORD, HOME) == WELCOME


def test_who_presents_a_valid_session_gets_in_from_anywhere(sam: User) -> None:
    api, browser, stranger = api_client(sam), Client(), api_client(make_staff())
    browser.force_login(sam)
    forget()
    attack(by_api)

    assert by_back_office(sam.email, PASSWORD, ELSEWHERE, browser) == WELCOME
    forget()
    assert by_api(sam.email, PASSWORD, ELSEWHERE, api) == WELCOME
    forget()
    assert by_api(sam.email, PASSWORD, ELSEWHERE, stranger) == LIMITED
    assert by_api(sam.email, PASSWORD, ELSEWHERE) == LIMITED


@pytest.mark.parametrize("email", ["\x00", "a\x00b@example.com", "\ud800", "x" * 100_000, " "])
def test_names_that_no_account_has_are_refused_without_an_error(log_in: Login, email: str) -> None:
    sent = email.encode("utf-8", "replace").decode() if log_in is by_back_office else email

    assert log_in(sent, PASSWORD, HOME) in (REFUSED, 400, 413)


def test_without_redis_strangers_are_limited_and_the_owner_gets_in(
    log_in: Login, sam: User, settings: Any
) -> None:
    log_in(sam.email, PASSWORD, HOME)
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": UNREACHABLE}}
    attack(log_in)

    assert log_in(sam.email, PASSWORD, ELSEWHERE) == LIMITED
    assert log_in(sam.email, PASSWORD, HOME) == WELCOME
    local_counters.reset()


@pytest.mark.django_db(transaction=True)
def test_addresses_are_forgotten_after_thirty_days() -> None:
    sam = make_staff(email="sam@example.com")
    for address in (HOME, ELSEWHERE):
        by_api(sam.email, PASSWORD, address)
    KnownAddress.objects.filter(address=HOME).update(used_at=clock.now() - timedelta(days=31))

    assert purge_known_addresses(now=clock.now(), deadline=float("inf")) == 1
    assert KnownAddress.objects.get().address == ELSEWHERE
