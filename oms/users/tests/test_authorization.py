"""Who may change whose account: one rule at the API, at the back office and in the operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.test import Client

from oms.core.actor import system
from oms.events.models import Event
from oms.testing.factories import PASSWORD, actor_for, api_client, make_customer, make_staff
from oms.users.errors import OwnRights, SuperuserNeeded
from oms.users.models import Session, User
from oms.users.operations.accounts import change_user
from oms.users.operations.groups import add_group, change_group
from oms.users.operations.sessions import end_session
from oms.users.operations.staff import (
    create_account,
    grant_rights,
    log_out_everywhere,
    set_password,
)

pytestmark = pytest.mark.django_db

NEW_PASSWORD = "another-long-secret"


def url(user: User) -> str:
    return f"/api/v1/users/{user.id}"


def account(user: User) -> dict[str, Any]:
    return dict(User.objects.filter(pk=user.pk).values().get())


def make_boss() -> User:
    return make_staff(is_superuser=True)


@pytest.mark.parametrize("change", [{"full_name": "X"}, {"email": "x@x.org"}, {"is_active": False}])
@pytest.mark.parametrize("make", [make_staff, make_boss])
def test_staff_cannot_change_other_staff_by_the_api(
    make: Callable[[], User], change: dict[str, Any]
) -> None:
    colleague, client = make(), api_client(make_staff())
    before = account(colleague)

    response = client.patch(url(colleague), change)

    assert response.status_code == 403
    assert response.json()["code"] == "superuser_needed"
    assert account(colleague) == before
    assert not Event.objects.filter(type="user.changed").exists()


@pytest.mark.parametrize("make", [make_customer, make_staff])
def test_staff_give_and_take_no_roles_by_the_api(make: Callable[[], User]) -> None:
    user, client = make(), api_client(make_staff())
    before = account(user)

    response = client.patch(url(user), {"is_staff": not user.is_staff})

    assert response.status_code == 403
    assert response.json()["code"] == "superuser_needed"
    assert account(user) == before


def test_staff_change_customers_and_themselves_by_the_api() -> None:
    sam, carla = make_staff(), make_customer()
    client = api_client(sam)

    assert client.patch(url(carla), {"full_name": "C", "is_active": False}).status_code == 200
    assert client.patch("/api/v1/users/me", {"full_name": "S"}).status_code == 200
    # What stays as it is, is no change.
    assert client.patch("/api/v1/users/me", {"is_staff": True}).status_code == 200

    assert (account(carla)["full_name"], account(carla)["is_active"]) == ("C", False)
    assert (account(sam)["full_name"], account(sam)["is_staff"]) == ("S", True)


def test_superusers_change_staff_and_roles_by_the_api() -> None:
    sam, carla = make_staff(), make_customer()
    client = api_client(make_boss())

    assert client.patch(url(sam), {"is_active": False}).status_code == 200
    assert client.patch(url(carla), {"is_staff": True}).status_code == 200

    assert account(sam)["is_active"] is False
    assert account(carla)["is_staff"] is True


@pytest.mark.parametrize("make", [make_staff, make_boss])
@pytest.mark.parametrize("change", [{"is_active": False}, {"is_staff": False}])
def test_users_cannot_deactivate_themselves_through_the_api(
    make: Callable[[], User], change: dict[str, Any]
) -> None:
    me = make()
    client = api_client(me)
    before = account(me)

    response = client.patch("/api/v1/users/me", change)

    assert response.status_code == 403
    assert response.json()["code"] == "own_rights"
    assert account(me) == before


OPERATIONS: dict[str, Callable[[User, User], Any]] = {
    "change": lambda by, of: change_user(
        actor=actor_for(by), user_id=of.id, values={"full_name": "X"}
    ),
    "password": lambda by, of: set_password(
        actor=actor_for(by), user_id=of.id, password=NEW_PASSWORD
    ),
    "sessions": lambda by, of: log_out_everywhere(actor=actor_for(by), user_id=of.id),
    "session": lambda by, of: end_session(
        actor=actor_for(by), session_id=Session.objects.get(user=of).id, reason="by staff"
    ),
}


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_every_operation_keeps_the_rule(operation: Callable[[User, User], Any]) -> None:
    sam, colleague, carla = make_staff(), make_staff(), make_customer()
    for user in (sam, colleague, carla):
        api_client(user)
    events = Event.objects.count()

    with pytest.raises(SuperuserNeeded):
        operation(sam, colleague)
    assert Event.objects.count() == events

    for by, of in ((sam, carla), (sam, sam), (make_boss(), colleague)):
        operation(by, of)
    assert Event.objects.count() >= events + 3


def test_only_superusers_make_staff_and_grant_rights() -> None:
    sam, boss, carla = make_staff(), make_boss(), make_customer()
    group = Group.objects.create(name="Packers")
    new: Any = {"password": PASSWORD, "full_name": "N", "is_staff": True}

    for rights in ({"is_superuser": True}, {"groups": [group]}):
        with pytest.raises(SuperuserNeeded):
            grant_rights(actor=actor_for(sam), user_id=carla.id, **rights)
    with pytest.raises(SuperuserNeeded):
        create_account(actor=actor_for(sam), email="n@example.com", **new)
    with pytest.raises(OwnRights):
        grant_rights(actor=actor_for(boss), user_id=boss.id, is_superuser=False)

    assert not User.objects.filter(email="n@example.com").exists()
    assert not carla.groups.exists()
    grant_rights(actor=actor_for(boss), user_id=carla.id, groups=[group])
    create_account(actor=system("tests"), email="n@example.com", **new)
    assert list(carla.groups.all()) == [group]


def test_staff_change_their_own_account_in_the_back_office_but_not_their_rights() -> None:
    sam = make_staff(full_name="Before")
    sam.user_permissions.set(Permission.objects.filter(content_type__app_label="users"))
    browser = Client()
    browser.force_login(sam)
    form = {"email": sam.email, "full_name": "After", "phone": "", "is_superuser": "on"}

    browser.post(f"/admin/users/user/{sam.pk}/change/", form)

    after = account(sam)
    assert after["full_name"] == "After"
    assert (after["is_staff"], after["is_active"], after["is_superuser"]) == (True, True, False)


def test_changing_the_own_password_is_a_fact_of_the_log_and_ends_other_sessions() -> None:
    sam = make_staff()
    api = api_client(sam)
    here, elsewhere = Client(), Client()
    here.force_login(sam)
    elsewhere.force_login(sam)
    page = "/admin/password_change/"
    new = {"new_password1": NEW_PASSWORD, "new_password2": NEW_PASSWORD}

    assert b"new_password1" in here.get(page).content
    assert here.post(page, {"old_password": "wrong", **new}).status_code == 200
    assert not Event.objects.filter(type="user.password_set").exists()
    answer = here.post(page, {"old_password": PASSWORD, **new})

    assert (answer.status_code, answer["Location"]) == (302, "/admin/password_change/done/")
    assert Event.objects.get(type="user.password_set").actor_id == sam.id
    assert User.objects.get(pk=sam.pk).check_password(NEW_PASSWORD)
    assert api.get("/api/v1/users/me").status_code == 401
    assert here.get("/admin/").status_code == 200
    assert elsewhere.get("/admin/").status_code == 302
    assert Client().get(page).status_code == 302


def test_rights_of_groups_are_changed_by_superusers_and_the_log_has_them() -> None:
    right = Permission.objects.get(codename="view_order")
    browser = Client()
    browser.force_login(make_boss())
    pages = "/admin/auth/group/"

    browser.post(f"{pages}add/", {"name": "Packers", "permissions": [right.pk]})
    group = Group.objects.get()
    browser.post(f"{pages}{group.pk}/change/", {"name": "Shippers", "permissions": []})
    Group.objects.create(name="Taken")
    taken = browser.post(f"{pages}{group.pk}/change/", {"name": "Taken", "permissions": []})

    assert "A group with this name already exists" in taken.content.decode()
    events = Event.objects.filter(type="group.changed").order_by("position")
    assert [event.data["changes"] for event in events] == [
        {"name": ["", "Packers"], "permissions": [[], ["view_order"]]},
        {"name": ["Packers", "Shippers"], "permissions": [["view_order"], []]},
    ]
    assert {event.object_id.int for event in events} == {group.pk}
    assert Group.objects.get(pk=group.pk).name == "Shippers"


def test_groups_are_closed_to_other_staff() -> None:
    group = Group.objects.create(name="Packers")
    sam = actor_for(make_staff())

    with pytest.raises(SuperuserNeeded):
        add_group(actor=sam, name="Bosses", permissions=[])
    with pytest.raises(SuperuserNeeded):
        change_group(actor=sam, group_id=group.pk, permissions=Permission.objects.all())

    assert not group.permissions.exists()
    assert Group.objects.count() == 1
