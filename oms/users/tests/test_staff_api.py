"""Members of the staff by the API: added with their rights, changed, and never made mightier."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from oms.core.ids import new_id
from oms.core.permissions import ROLES, Permission
from oms.events.models import Event
from oms.testing.factories import api_client, make_customer, make_staff, permission_rows
from oms.users.models import User

pytestmark = pytest.mark.django_db

STAFF = "/api/v1/admin/staff"
NEW: dict[str, Any] = {
    "email": "Sam@Example.com",
    "full_name": "Sam Keller",
    "roles": ["clerk"],
    "permissions": ["payments.refund"],
}


@pytest.fixture
def client() -> APIClient:
    """A client of staff with all permissions, who is no superuser."""
    return api_client(make_staff(email="admin@example.com"))


def test_a_new_member_has_the_roles_and_permissions_and_no_password(client: APIClient) -> None:
    response = client.post(STAFF, NEW)

    assert response.status_code == 201, response.content
    user = User.objects.get(email__iexact="sam@example.com")
    assert response["Location"] == f"{STAFF}/{user.id}"
    assert response.json() == {
        "id": str(user.id),
        "email": "Sam@example.com",
        "full_name": "Sam Keller",
        "roles": ["clerk"],
        "permissions": ["payments.refund"],
        "is_active": True,
        "is_superuser": False,
        "created_at": response.json()["created_at"],
    }
    assert client.get(response["Location"]).json() == response.json()
    assert user.is_staff
    assert not user.is_superuser
    assert not user.has_usable_password()
    assert user.permissions == ROLES["clerk"] | {Permission.PAYMENTS_REFUND}
    events = Event.objects.filter(object_id=user.id).order_by("position")
    assert [event.type for event in events] == [
        *("user.registered", "user.changed", "user.changed", "user.invited"),
    ]
    assert events[2].data["changes"] == {
        "groups": [[], ["clerk"]],
        "user_permissions": [[], ["payments.refund"]],
    }
    assert {event.actor_label for event in events} == {"admin@example.com"}


def test_a_member_without_roles_may_nothing(client: APIClient) -> None:
    response = client.post(STAFF, {"email": "new@example.com", "full_name": "New"})

    assert response.status_code == 201
    assert (response.json()["roles"], response.json()["permissions"]) == ([], [])
    assert User.objects.get(email="new@example.com").permissions == frozenset()


def test_an_inactive_member_is_not_invited(client: APIClient) -> None:
    assert client.post(STAFF, {**NEW, "is_active": False}).status_code == 201

    assert not Event.objects.filter(type="user.invited").exists()


def test_lists_of_rights_are_replaced_and_what_is_missing_stays(client: APIClient) -> None:
    Group.objects.create(name="Packers")
    path = client.post(STAFF, NEW)["Location"]

    changed = client.patch(path, {"roles": ["stock_keeper", "Packers"], "full_name": "S"}).json()
    assert (changed["roles"], changed["permissions"]) == (
        ["Packers", "stock_keeper"],
        ["payments.refund"],
    )
    assert (changed["full_name"], changed["email"]) == ("S", "Sam@example.com")
    emptied = client.patch(path, {"roles": [], "permissions": []}).json()
    assert (emptied["roles"], emptied["permissions"]) == ([], [])
    assert client.patch(path, {"is_active": False}).json()["is_active"] is False
    before = Event.objects.count()
    assert client.patch(path, {"is_active": False, "roles": []}).status_code == 200
    assert client.patch(path, {}).status_code == 200
    assert Event.objects.count() == before


@pytest.mark.parametrize(
    ("rights", "missing"),
    [
        ({"roles": ["accountant"]}, "payments.refund"),
        ({"roles": ["clerk", "manager"]}, "payments.refund"),
        ({"permissions": ["orders.view", "payments.refund"]}, "payments.refund"),
        ({"permissions": ["staff.manage", "stock.adjust"]}, "stock.adjust"),
    ],
)
def test_nobody_grants_a_right_that_they_lack(rights: dict[str, Any], missing: str) -> None:
    lacking = {Permission.PAYMENTS_REFUND, Permission.STOCK_ADJUST}
    client = api_client(make_staff(permissions=set(Permission) - lacking))
    member = make_staff(permissions=())
    new = {"email": "new@example.com", "full_name": "New", **rights}

    for response in (client.post(STAFF, new), client.patch(f"{STAFF}/{member.id}", rights)):
        assert (response.status_code, response.json()["permission"]) == (403, missing)

    assert not User.objects.filter(email="new@example.com").exists()
    assert not member.groups.exists()
    assert not member.user_permissions.exists()
    assert api_client(make_staff()).post(STAFF, new).status_code == 201


def test_nobody_changes_a_member_who_is_mightier(client: APIClient) -> None:
    weaker = api_client(make_staff(permissions=set(Permission) - {Permission.PAYMENTS_REFUND}))
    member = make_staff(permissions=())
    member.groups.add(Group.objects.get(name="accountant"))
    boss = make_staff(is_superuser=True)
    changes: list[dict[str, Any]] = [
        {"email": "x@example.com"},
        {"roles": ["clerk"]},
        {"is_active": False},
    ]

    for change in changes:
        refused = weaker.patch(f"{STAFF}/{member.id}", change)
        assert (refused.status_code, refused.json()["permission"]) == (403, "payments.refund")
        of_superuser = client.patch(f"{STAFF}/{boss.id}", change)
        assert (of_superuser.status_code, of_superuser.json()["code"]) == (403, "superuser_needed")

    fresh = User.objects.get(pk=member.pk)
    assert (fresh.email, fresh.is_active, fresh.groups.count()) == (member.email, True, 1)


def test_nobody_deactivates_themselves(client: APIClient) -> None:
    me = User.objects.get(email="admin@example.com")

    response = client.patch(f"{STAFF}/{me.id}", {"is_active": False})

    assert (response.status_code, response.json()["code"]) == (403, "own_rights")


def test_rights_that_were_taken_are_missed_at_once(client: APIClient) -> None:
    sam = make_staff(permissions=["orders.view"])
    hers = api_client(sam)
    assert hers.get("/api/v1/admin/orders").status_code == 200

    assert client.patch(f"{STAFF}/{sam.id}", {"permissions": []}).status_code == 200

    assert hers.get("/api/v1/admin/orders").json()["permission"] == "orders.view"


@pytest.mark.parametrize(
    ("change", "pointer", "code"),
    [
        ({"roles": ["clerk", "boss"]}, "/roles/1", "not_found"),
        ({"permissions": ["orders.fold"]}, "/permissions/0", "invalid_choice"),
        ({"roles": "clerk"}, "/roles", "not_a_list"),
        ({"email": "nobody"}, "/email", "invalid"),
        ({"is_superuser": True}, "/is_superuser", "unknown_field"),
    ],
)
def test_wrong_input_is_named_and_changes_nothing(
    client: APIClient, change: dict[str, Any], pointer: str, code: str
) -> None:
    sam = make_staff(permissions=["orders.view"])

    for response in (
        client.post(STAFF, {**NEW, **change}),
        client.patch(f"{STAFF}/{sam.id}", change),
    ):
        assert response.status_code == 400, response.content
        [error] = response.json()["errors"]
        assert (error["pointer"], error["code"]) == (pointer, code)
    assert User.objects.count() == 2


def test_an_address_is_taken_once(client: APIClient) -> None:
    make_customer(email="sam@example.com")

    response = client.post(STAFF, NEW)

    assert (response.status_code, response.json()["code"]) == (409, "email_taken")
    assert not Event.objects.filter(type="user.invited").exists()


def test_customers_and_what_is_not_there_are_no_members(client: APIClient) -> None:
    for id in (make_customer().id, new_id()):
        assert client.get(f"{STAFF}/{id}").status_code == 404
        assert client.patch(f"{STAFF}/{id}", {"full_name": "X"}).status_code == 404


def test_the_list_has_all_staff_and_takes_few_statements(
    client: APIClient, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    make_customer()
    for _ in range(3):
        make_staff(permissions=["orders.view"]).groups.add(Group.objects.get(name="clerk"))
    gone = make_staff(is_active=False)
    gone.user_permissions.set(permission_rows(["orders.view"]))

    with django_assert_num_queries(4):  # the account, the page, its groups and permissions
        page = client.get(STAFF).json()

    assert len(page["results"]) == User.objects.filter(is_staff=True).count() == 5
    assert page["results"][0]["id"] == str(gone.id)
    assert page["results"][1]["roles"] == ["clerk"]
