"""Logging in, refreshing, logging out; and invalid tokens."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import jwt
import pytest
from django.conf import settings
from django.db import connection
from pytest_django import DjangoAssertNumQueries

from oms.core import clock
from oms.core.ids import new_id
from oms.events.models import Event
from oms.queue import purging
from oms.testing.factories import (
    PASSWORD,
    api_client,
    make_customer,
    make_staff,
    tokens_for,
)
from oms.users.models import Session, User
from oms.users.operations import sessions
from oms.users.operations.sessions import TokenPair

TOKEN = "/api/v1/auth/token"
REFRESH = "/api/v1/auth/token/refresh"
REVOKE = "/api/v1/auth/token/revoke"
ME = "/api/v1/users/me"


def status_with(access: str) -> int:
    """The status that a call with that access token gets."""
    client = api_client()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {access}")
    response = client.get(ME)
    if response.status_code == 401:
        assert response["Content-Type"] == "application/problem+json"
        assert "WWW-Authenticate" in response
    return int(response.status_code)


def refreshed(refresh: str) -> Any:
    return api_client().post(REFRESH, {"refresh": refresh})


@pytest.mark.django_db
@pytest.mark.parametrize("email", ["carla@example.com", "CARLA@Example.com"])
def test_logging_in_gives_a_pair_of_tokens(email: str) -> None:
    carla = make_customer(email="Carla@example.com")

    response = api_client().post(TOKEN, {"email": email, "password": PASSWORD})

    assert response.status_code == 200
    assert response.json().keys() == {"access", "refresh"}
    assert response["Cache-Control"] == "no-store"
    assert status_with(response.json()["access"]) == 200
    carla.refresh_from_db()
    assert carla.last_login is not None
    event = Event.objects.get()
    assert (event.type, event.actor_id) == ("user.logged_in", carla.id)


@pytest.mark.django_db
def test_tokens_say_whose_they_are_and_for_how_long() -> None:
    carla = make_customer()
    pair = tokens_for(carla)

    for token, kind, seconds in ((pair.access, "access", 900), (pair.refresh, "refresh", 604_800)):
        claims = jwt.decode(
            token, settings.JWT_SIGNING_KEY, ["HS256"], audience="oms-api", issuer="oms"
        )
        assert claims["token_type"] == kind
        assert claims["sub"] == str(carla.id)
        assert claims["exp"] - claims["iat"] == seconds


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("carla@example.com", "wrong"),
        ("nobody@example.com", PASSWORD),
        ("gone@example.com", PASSWORD),
    ],
)
def test_bad_credentials_are_refused_alike(email: str, password: str) -> None:
    make_customer(email="carla@example.com")
    make_customer(email="gone@example.com", is_active=False)

    response = api_client().post(TOKEN, {"email": email, "password": password})

    assert response.status_code == 401
    assert response.json()["code"] == "bad_credentials"
    assert not Session.objects.exists()
    assert not Event.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("path", [REFRESH, REVOKE])
@pytest.mark.parametrize("body", [{}, {"refresh": ""}, {"refresh": 1}, {"refresh": "x", "y": 1}])
def test_calls_without_a_token_are_bad_requests(path: str, body: dict[str, Any]) -> None:
    assert api_client().post(path, body).status_code == 400


@pytest.mark.django_db
def test_the_account_is_found_by_its_index() -> None:
    statement = User.objects.with_email("carla@example.com").order_by()
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")

    assert "user_email_once" in statement.explain()


@pytest.mark.django_db
def test_a_call_is_authenticated_with_one_statement(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    client = api_client(make_customer())

    with django_assert_num_queries(1):
        assert client.get("/api/v1/admin/audit").status_code == 403


@pytest.mark.django_db
def test_a_refresh_gives_a_new_pair_even_with_an_old_token_in_the_header() -> None:
    pair = tokens_for(make_customer())
    client = api_client()
    client.credentials(HTTP_AUTHORIZATION="Bearer long.gone.token")

    response = client.post(REFRESH, {"refresh": pair.refresh})

    assert response.status_code == 200
    assert response.json()["refresh"] != pair.refresh
    assert status_with(response.json()["access"]) == 200
    assert refreshed(response.json()["refresh"]).status_code == 200


@pytest.mark.django_db
def test_a_used_token_ends_the_whole_family() -> None:
    carla = make_customer()
    first, other = tokens_for(carla), tokens_for(carla)
    second = refreshed(first.refresh).json()

    again = refreshed(first.refresh)

    assert again.status_code == 401
    assert again.json()["code"] == "token_invalid"
    assert refreshed(second["refresh"]).status_code == 401
    assert status_with(first.access) == 401
    assert status_with(second["access"]) == 401
    assert [e.data["reason"] for e in Event.objects.filter(type="user.session_revoked")] == [
        "reuse"
    ]
    # Another login of the same user is none of the thief's.
    assert status_with(other.access) == 200
    assert refreshed(other.refresh).status_code == 200


@pytest.mark.django_db
def test_logging_out_ends_the_session_and_no_other() -> None:
    carla = make_customer()
    pair, other = tokens_for(carla), tokens_for(carla)

    response = api_client().post(REVOKE, {"refresh": pair.refresh})

    assert response.status_code == 204
    assert response.content == b""
    assert refreshed(pair.refresh).status_code == 401
    assert status_with(pair.access) == 401
    assert status_with(other.access) == 200
    assert api_client().post(REVOKE, {"refresh": pair.refresh}).status_code == 204
    assert Event.objects.filter(type="user.session_revoked").count() == 1


def forged(pair: TokenPair, *, key: str = settings.JWT_SIGNING_KEY, **claims: Any) -> str:
    """The access token of `pair` with other claims, signed with `key`."""
    now = jwt.decode(pair.access, options={"verify_signature": False})
    kept = {name: value for name, value in {**now, **claims}.items() if value is not None}
    return jwt.encode(kept, key, algorithm="HS256")


BAD_ACCESS: dict[str, Callable[[TokenPair], str]] = {
    "no algorithm": lambda pair: jwt.encode(
        jwt.decode(pair.access, options={"verify_signature": False}), key=None, algorithm="none"
    ),
    "another algorithm": lambda pair: jwt.encode(
        jwt.decode(pair.access, options={"verify_signature": False}),
        settings.JWT_SIGNING_KEY.ljust(64, "x"),
        algorithm="HS512",
    ),
    "another key": lambda pair: forged(pair, key="x" * 50),
    "expired": lambda pair: forged(pair, exp=int(clock.now().timestamp()) - 1),
    "without an end": lambda pair: forged(pair, exp=None),
    "another issuer": lambda pair: forged(pair, iss="somebody"),
    "another audience": lambda pair: forged(pair, aud="somewhere"),
    "a refresh token": lambda pair: pair.refresh,
    "no session": lambda pair: forged(pair, sid=None),
    "an unknown session": lambda pair: forged(pair, sid=str(new_id())),
    "a session that is no id": lambda pair: forged(pair, sid="x"),
    "nobody": lambda pair: forged(pair, sub=None),
    "another user": lambda pair: forged(pair, sub=str(make_staff().id)),
    "a user that is no id": lambda pair: forged(pair, sub="x"),
    "no token": lambda pair: "",
    "two tokens": lambda pair: f"{pair.access} {pair.access}",
    "noise": lambda pair: "a.b.c",
}


@pytest.mark.django_db
@pytest.mark.parametrize("fault", BAD_ACCESS)
def test_a_bad_access_token_is_401(fault: str) -> None:
    pair = tokens_for(make_customer())

    assert status_with(forged(pair)) == 200  # the forger's own way of signing is no fault
    assert status_with(BAD_ACCESS[fault](pair)) == 401


@pytest.mark.django_db
@pytest.mark.parametrize("call", [REFRESH, REVOKE])
@pytest.mark.parametrize("fault", ["access", "expired", "another key", "noise"])
def test_a_bad_refresh_token_is_401_and_changes_nothing(call: str, fault: str) -> None:
    pair = tokens_for(make_customer())
    claims = jwt.decode(pair.refresh, options={"verify_signature": False})
    token = {
        "access": pair.access,
        "expired": jwt.encode({**claims, "exp": 1}, settings.JWT_SIGNING_KEY, "HS256"),
        "another key": jwt.encode(claims, "x" * 50, "HS256"),
        "noise": "a.b.c",
    }[fault]
    before = list(Session.objects.values())

    response = api_client().post(call, {"refresh": token})

    assert response.status_code == 401
    assert response.json()["code"] == "token_invalid"
    assert list(Session.objects.values()) == before


@pytest.mark.django_db
def test_a_deactivated_user_is_not_authenticated() -> None:
    carla = make_customer()
    pair = tokens_for(carla)
    User.objects.filter(pk=carla.pk).update(is_active=False)

    assert status_with(pair.access) == 401
    assert refreshed(pair.refresh).status_code == 401


@pytest.mark.django_db(transaction=True)
def test_sessions_that_ended_are_forgotten_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purging, "BATCH", 2)
    carla = make_customer()
    for _ in range(4):
        tokens_for(carla)
    end = Session.objects.latest("expires_at").expires_at
    tokens_for(carla)
    in_time = time.monotonic() + 60

    assert sessions.purge_sessions(before=end, deadline=time.monotonic()) == 0
    assert sessions.purge_sessions(before=end, deadline=in_time) == 3
    after = end + timedelta(microseconds=1)
    assert sessions.purge_sessions(before=after, deadline=in_time) == 1
    assert Session.objects.count() == 1
