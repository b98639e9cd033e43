"""Seeing and changing accounts."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from pytest_django import DjangoAssertNumQueries

from oms.core.ids import new_id
from oms.events.models import Event
from oms.testing.factories import api_client, make_customer, make_staff, tokens_for
from oms.users.models import Session, User
from oms.users.tests.test_accounts import refused_at

pytestmark = pytest.mark.django_db


def url(user_id: UUID | str) -> str:
    return f"/api/v1/users/{user_id}"


def account(user: User) -> dict[str, Any]:
    """The whole row of the user in the database."""
    return dict(User.objects.filter(pk=user.pk).values().get())


@pytest.mark.parametrize("address", ["me", "own id"])
def test_a_customer_sees_their_own_account(address: str) -> None:
    carla = make_customer(email="carla@example.com", full_name="Carla", phone="030 123456")

    response = api_client(carla).get(url("me" if address == "me" else carla.id))

    assert response.status_code == 200
    assert response.json() == {
        "id": str(carla.id),
        "email": "carla@example.com",
        "full_name": "Carla",
        "phone": "030 123456",
        "language": "",
        "is_staff": False,
        "created_at": carla.created_at.isoformat().replace("+00:00", "Z"),
    }


def test_staff_see_any_account_and_whether_it_is_active() -> None:
    carla = make_customer(is_active=False)

    response = api_client(make_staff()).get(url(carla.id))

    assert response.status_code == 200
    assert response.json()["id"] == str(carla.id)
    assert response.json()["is_active"] is False


@pytest.mark.parametrize("method", ["get", "put", "patch"])
def test_anothers_account_is_not_there(method: str) -> None:
    other = make_customer()
    client = api_client(make_customer())
    before = account(other)

    for user_id in (other.id, new_id()):
        response = getattr(client, method)(url(user_id), {} if method == "get" else {"x": 1})
        assert response.status_code == 404
        assert response.json()["code"] == "not_found"
    assert account(other) == before


@pytest.mark.parametrize("method", ["get", "put", "patch"])
@pytest.mark.parametrize("address", ["me", "00000000-0000-7000-8000-000000000000"])
def test_anonymous_requests_are_answered_401(method: str, address: str) -> None:
    response = getattr(api_client(), method)(url(address))

    assert response.status_code == 401
    assert response["WWW-Authenticate"].startswith("Bearer")


def test_seeing_an_account_takes_two_statements(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    carla = make_customer()
    client = api_client(carla)

    with django_assert_num_queries(2):  # the token's session, the account
        client.get(url("me"))


def test_patch_changes_the_given_fields_and_is_logged() -> None:
    carla = make_customer(full_name="Carla Winter", phone="030 123456")

    response = api_client(carla).patch(url("me"), {"full_name": "Carla Sommer"})

    assert response.status_code == 200
    assert response.json()["full_name"] == "Carla Sommer"
    carla.refresh_from_db()
    assert (carla.full_name, carla.phone) == ("Carla Sommer", "030 123456")
    event = Event.objects.get(type="user.changed")
    assert event.data["changes"] == {"full_name": ["Carla Winter", "Carla Sommer"]}
    assert event.actor_id == carla.id


def test_patching_nothing_changes_nothing() -> None:
    carla = make_customer()
    before = account(carla)

    assert api_client(carla).patch(url("me"), {}).status_code == 200
    assert api_client(carla).patch(url("me"), {"phone": ""}).status_code == 200

    assert {**account(carla), "last_login": None} == before
    assert not Event.objects.filter(type="user.changed").exists()


def test_put_needs_the_whole_profile() -> None:
    carla = make_customer(full_name="Carla Winter", phone="030 123456")
    client = api_client(carla)

    assert refused_at(client.put(url("me"), {"full_name": "X"})) == {"/phone": "required"}
    assert refused_at(client.put(url("me"), {"phone": ""})) == {"/full_name": "required"}
    response = client.put(url("me"), {"full_name": "Carla Sommer", "phone": ""})

    assert response.status_code == 200
    carla.refresh_from_db()
    assert (carla.full_name, carla.phone) == ("Carla Sommer", "")


@pytest.mark.parametrize("method", ["put", "patch"])
@pytest.mark.parametrize(
    "attempt",
    [
        {"is_staff": True},
        {"is_active": False},
        {"is_superuser": True},
        {"password": "another good password"},
        {"id": "00000000-0000-7000-8000-000000000000"},
        {"created_at": "2020-01-01T00:00:00Z"},
        {"groups": [1]},
        {"phone": "\u0000"},
    ],
)
def test_a_customer_cannot_set_staff_fields(method: str, attempt: dict[str, Any]) -> None:
    carla = make_customer()
    client = api_client(carla)
    before = account(carla)

    body = {"full_name": "Carla Sommer", "phone": "030 123456", **attempt}
    response = getattr(client, method)(url("me"), body)

    assert set(refused_at(response)) == {f"/{name}" for name in attempt}
    assert account(carla) == before
    assert not Event.objects.filter(type="user.changed").exists()


def test_a_customer_may_move_to_another_address_of_their_own() -> None:
    carla = make_customer(email="carla@example.com")

    response = api_client(carla).patch(url("me"), {"email": "Carla@Example.ORG"})

    assert response.json()["email"] == "Carla@example.org"
    assert tokens_for(User.objects.get(pk=carla.pk))


@pytest.mark.parametrize("email", ["dora@example.com", "DORA@Example.com"])
def test_an_address_of_another_account_is_rejected(email: str) -> None:
    make_customer(email="dora@example.com")
    carla = make_customer(email="carla@example.com")

    response = api_client(carla).patch(url("me"), {"email": email, "full_name": "Dora"})

    assert response.status_code == 409
    assert response.json()["code"] == "email_taken"
    assert account(carla)["email"] == "carla@example.com"
    assert account(carla)["full_name"] == carla.full_name


def test_superusers_change_role_and_address_of_anyone() -> None:
    carla = make_customer()

    response = api_client(make_staff(is_superuser=True)).patch(
        url(carla.id), {"is_staff": True, "email": "c.winter@example.com"}
    )

    assert response.status_code == 200
    assert response.json()["is_staff"] is True
    carla.refresh_from_db()
    assert (carla.email, carla.is_staff) == ("c.winter@example.com", True)


def test_a_new_role_holds_for_tokens_that_were_given_out_before() -> None:
    sam = make_staff()
    client = api_client(sam)
    assert client.get("/api/v1/admin/audit").status_code == 200

    api_client(make_staff(is_superuser=True)).patch(url(sam.id), {"is_staff": False})

    assert client.get("/api/v1/admin/audit").status_code == 403


def test_deactivating_a_user_ends_their_sessions_for_good() -> None:
    carla = make_customer()
    client, tokens = api_client(carla), tokens_for(carla)
    staff = api_client(make_staff())

    assert staff.patch(url(carla.id), {"is_active": False}).status_code == 200

    assert client.get(url("me")).status_code == 401
    sessions = Session.objects.filter(user=carla)
    assert [s.revoked_because for s in sessions] == ["deactivated", "deactivated"]
    revoked = Event.objects.filter(type="user.session_revoked")
    assert {e.data["reason"] for e in revoked} == {"deactivated"}
    assert revoked.count() == 2
    # Coming back does not bring the old sessions back.
    staff.patch(url(carla.id), {"is_active": True})
    assert client.get(url("me")).status_code == 401
    refresh = api_client().post("/api/v1/auth/token/refresh", {"refresh": tokens.refresh})
    assert refresh.status_code == 401
    assert api_client(carla).get(url("me")).status_code == 200
