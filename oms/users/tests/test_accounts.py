"""Opening an account."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.contrib.auth.hashers import identify_hasher
from django.db import connection
from rest_framework.test import APIClient

import oms.settings
from oms.events.models import Event
from oms.testing.factories import api_client, make_customer
from oms.testing.threads import at_once
from oms.users.models import User

URL = "/api/v1/users"
CARLA = {
    "email": "carla@example.com",
    "password": "a good long password",
    "full_name": "Carla Winter",
}


def refused_at(response: Any) -> dict[str, str]:
    """The code of each place of the input that a 400 names."""
    assert response.status_code == 400, response.content
    return {error["pointer"]: error["code"] for error in response.json()["errors"]}


@pytest.mark.django_db
def test_anyone_may_open_an_account() -> None:
    response = api_client().post(URL, {**CARLA, "phone": "+49 30 1234567"})

    assert response.status_code == 201
    user = User.objects.get()
    assert response.json() == {
        "id": str(user.id),
        "email": "carla@example.com",
        "full_name": "Carla Winter",
        "phone": "+49 30 1234567",
        "language": "",
        "is_staff": False,
        "created_at": user.created_at.isoformat().replace("+00:00", "Z"),
    }
    assert response["Location"] == f"/api/v1/users/{user.id}"
    assert user.check_password(CARLA["password"])
    assert user.is_active
    assert not user.is_staff


@pytest.mark.django_db
def test_a_phone_is_optional() -> None:
    assert api_client().post(URL, CARLA).json()["phone"] == ""


@pytest.mark.django_db
def test_opening_an_account_is_a_fact_of_the_log_without_the_password() -> None:
    api_client().post(URL, CARLA)

    event = Event.objects.get()
    assert event.type == "user.registered"
    assert event.data == {"user_id": str(User.objects.get().id), "email": "carla@example.com"}
    assert event.actor_kind == "anonymous"


@pytest.mark.django_db
def test_the_shop_hashes_passwords_with_argon2(settings: Any) -> None:
    settings.PASSWORD_HASHERS = oms.settings.PASSWORD_HASHERS

    api_client().post(URL, CARLA)

    assert identify_hasher(User.objects.get().password).algorithm == "argon2"


@pytest.mark.django_db
@pytest.mark.parametrize("email", ["carla@example.com", "CARLA@example.com", "Carla@EXAMPLE.COM"])
def test_an_address_in_any_case_has_one_account(email: str) -> None:
    make_customer(email="Carla@example.com")

    response = api_client().post(URL, {**CARLA, "email": email})

    assert response.status_code == 409
    assert response.json()["code"] == "email_taken"
    assert User.objects.count() == 1
    assert not Event.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("change", "places"),
    [
        ({"email": "carla"}, {"/email": "invalid"}),
        ({"email": "a" * 250 + "@b.de"}, {"/email": "max_length"}),
        ({"email": ""}, {"/email": "blank"}),
        ({"email": None}, {"/email": "null"}),
        ({"email": 5}, {"/email": "invalid"}),
        ({"email": "car\u0007la@example.com"}, {"/email": "forbidden_character"}),
        ({"full_name": "  "}, {"/full_name": "blank"}),
        ({"full_name": "a" * 201}, {"/full_name": "max_length"}),
        ({"phone": "call me"}, {"/phone": "invalid"}),
        ({"phone": "1" * 21}, {"/phone": "max_length"}),
        ({"password": "short"}, {"/password": "min_length"}),
        ({"password": "12345678901"}, {"/password": "password_entirely_numeric"}),
        ({"password": "carla@example.com"}, {"/password": "password_too_similar"}),
        ({"password": "a" * 129}, {"/password": "max_length"}),
        ({"is_staff": True}, {"/is_staff": "unknown_field"}),
        ({"is_superuser": True}, {"/is_superuser": "unknown_field"}),
        ({"id": "x", "is_active": False}, {"/id": "unknown_field", "/is_active": "unknown_field"}),
    ],
)
def test_bad_input_is_refused_by_name_and_opens_nothing(
    change: dict[str, Any], places: dict[str, str]
) -> None:
    response = api_client().post(URL, {**CARLA, **change})

    assert places.items() <= refused_at(response).items()
    assert not User.objects.exists()
    assert not Event.objects.exists()


@pytest.mark.django_db
def test_every_missing_member_is_named_at_once() -> None:
    assert refused_at(api_client().post(URL, {})) == {
        "/email": "required",
        "/password": "required",
        "/full_name": "required",
    }


@pytest.mark.django_db
@pytest.mark.parametrize("body", ["[]", '"carla"', "5", "null", "[{}]"])
def test_a_body_that_is_no_object_is_refused(body: str) -> None:
    response = APIClient().post(URL, body, content_type="application/json")

    assert response.status_code == 400
    assert response["Content-Type"] == "application/problem+json"


@pytest.mark.django_db
def test_blanks_at_the_ends_of_a_password_belong_to_it() -> None:
    api_client().post(URL, {**CARLA, "password": "  a good password "})

    user = User.objects.get()
    assert user.check_password("  a good password ")
    assert not user.check_password("a good password")


def _register_both_at_once(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The statuses of two registrations that both found the address free."""
    both_looked = threading.Barrier(2)
    save = User.save

    def save_when_both_have_looked(user: User, **options: Any) -> None:
        both_looked.wait(timeout=10)
        save(user, **options)

    monkeypatch.setattr(User, "save", save_when_both_have_looked)
    return sorted(
        at_once(
            lambda: api_client().post(URL, CARLA).status_code,
            lambda: api_client().post(URL, {**CARLA, "email": "CARLA@example.com"}).status_code,
        )
    )


@pytest.mark.django_db(transaction=True)
def test_of_two_registrations_at_once_one_gets_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _register_both_at_once(monkeypatch) == [201, 409]
    assert User.objects.count() == 1
    assert Event.objects.filter(type="user.registered").count() == 1


@pytest.mark.django_db(transaction=True)
def test_without_the_constraint_both_would_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    constraint = User._meta.constraints[0]
    with connection.schema_editor() as editor:
        editor.remove_constraint(User, constraint)
    try:
        assert _register_both_at_once(monkeypatch) == [201, 201]
    finally:
        User.objects.all().delete()
        with connection.schema_editor() as editor:
            editor.add_constraint(User, constraint)
