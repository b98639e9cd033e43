"""Logging in at the back office: noted in the log, and limited together with the API's tokens."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from oms.events.models import Event
from oms.testing.factories import PASSWORD, api_client, make_customer, make_staff
from oms.users.models import User

pytestmark = pytest.mark.django_db

LOGIN = "/admin/login/"


def attempt(email: str, password: str = PASSWORD, **sent: Any) -> Any:
    return Client().post(LOGIN, {"username": email, "password": password}, **sent)


def test_a_login_of_staff_is_a_fact_of_the_log() -> None:
    sam = make_staff(email="sam@example.com")

    answer = attempt("SAM@example.com", headers={"X-Request-ID": "r-1"}, REMOTE_ADDR="203.0.113.9")

    assert (answer.status_code, answer["Location"]) == (302, "/admin/")
    event = Event.objects.get()
    assert (event.type, event.data["session_id"]) == ("user.logged_in", None)
    assert (event.actor_id, event.actor_kind) == (sam.id, "staff")
    assert (event.request_id, event.ip) == ("r-1", "203.0.113.9")
    assert User.objects.get().last_login is not None


@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("sam@example.com", "wrong"),
        ("nobody@example.com", PASSWORD),
        ("carla@example.com", PASSWORD),
        ("gone@example.com", PASSWORD),
    ],
)
def test_others_are_refused_alike_and_leave_no_trace(email: str, password: str) -> None:
    make_staff(email="sam@example.com")
    make_staff(email="gone@example.com", is_active=False)
    make_customer(email="carla@example.com")

    answer = attempt(email, password)

    assert answer.status_code == 200
    assert "Please enter the correct" in answer.content.decode()
    assert not Event.objects.exists()
    assert not User.objects.exclude(last_login=None).exists()


def test_past_the_limit_of_the_account_the_answer_is_a_page(settings: Any) -> None:
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "token_account": "3/hour"}
    make_staff(email="sam@example.com")

    answers = [
        attempt("sam@example.com", "wrong", REMOTE_ADDR="192.0.2.1"),
        attempt(" SAM@example.com", "wrong", REMOTE_ADDR="192.0.2.2"),
        # Django's form folds these letters, and so finds the same account.
        attempt("\uff53am@example.com", "wrong", REMOTE_ADDR="192.0.2.3"),
        attempt("sam@example.com", REMOTE_ADDR="192.0.2.4"),
    ]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    refused = answers[-1]
    assert refused["Content-Type"].startswith("text/html")
    assert 1 <= int(refused["Retry-After"]) <= 3600
    assert '"token_account";r=0' in refused["RateLimit"]
    page = refused.content.decode()
    assert "Too many attempts" in page
    assert f"Try again in {refused['Retry-After']} second" in page
    assert 'href="/admin/login/"' in page
    assert not Event.objects.exists()
    assert attempt("others@example.com").status_code == 200


def test_an_address_has_one_limit_for_both_ways_to_log_in(settings: Any) -> None:
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "token_address": "2/hour"}

    attempt("a@example.com")
    api_client().post("/api/v1/auth/token", {"email": "b@example.com", "password": "x"})

    assert attempt("c@example.com").status_code == 429
    assert attempt("c@example.com", REMOTE_ADDR="192.0.2.9").status_code == 200


def test_looking_at_the_login_page_is_not_limited(settings: Any) -> None:
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "token_address": "1/hour"}

    assert {Client().get(LOGIN).status_code for _ in range(3)} == {200}


def test_changing_the_own_password_is_limited_by_user(settings: Any) -> None:
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "password_user": "2/hour"}
    sam, eva = Client(), Client()
    sam.force_login(make_staff(email="sam@example.com"))
    eva.force_login(make_staff(email="eva@example.com"))
    form = {"old_password": "a guess", "new_password1": "x", "new_password2": "x"}

    answers = [sam.post("/admin/password_change/", form) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert {answer["RateLimit-Policy"] for answer in answers} == {'"password_user";q=2;w=3600'}
    assert 1 <= int(answers[-1]["Retry-After"]) <= 3600
    assert sam.get("/admin/password_change/").status_code == 200
    assert eva.post("/admin/password_change/", form).status_code == 200
