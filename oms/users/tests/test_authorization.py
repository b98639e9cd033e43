"""Who may change whose account: one rule at the API, at the back office and in the operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from oms.core.actor import system
from oms.core.errors import PermissionDenied
from oms.core.permissions import Permission
from oms.events.models import Event
from oms.testing.factories import (
    PASSWORD,
    actor_for,
    api_client,
    make_customer,
    make_staff,
    permission_rows,
)
from oms.users.errors import OwnRights, SuperuserNeeded
from oms.users.models import Session, User
from oms.users.operations.accounts import change_user
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


def manager(*lacking: Permission) -> User:
    """Staff with all permissions but those."""
    return make_staff(permissions=set(Permission).difference(lacking))


CHANGES = [{"full_name": "X"}, {"email": "x@x.org"}, {"is_active": False}, {"is_staff": False}]


@pytest.mark.parametrize("change", CHANGES)
def test_staff_accounts_are_changed_with_the_permission_to_manage_staff_alone(
    change: dict[str, Any],
) -> None:
    colleague = make_staff(permissions=())
    client = api_client(manager(Permission.STAFF_MANAGE))
    before = account(colleague)

    response = client.patch(url(colleague), change)

    assert response.status_code == 403
    assert response.json()["permission"] == "staff.manage"
    assert account(colleague) == before
    assert not Event.objects.filter(type="user.changed").exists()
    allowed = api_client(make_staff(permissions=["staff.manage"]))
    assert allowed.patch(url(colleague), change).status_code == 200


@pytest.mark.parametrize("change", CHANGES)
def test_nobody_changes_the_account_of_somebody_mightier(change: dict[str, Any]) -> None:
    colleague, boss = make_staff(permissions=["payments.refund"]), make_boss()
    client = api_client(manager(Permission.PAYMENTS_REFUND))
    before = account(colleague), account(boss)

    refused = client.patch(url(colleague), change)
    of_superuser = client.patch(url(boss), change)

    assert refused.status_code == of_superuser.status_code == 403
    assert refused.json()["permission"] == "payments.refund"
    assert of_superuser.json()["code"] == "superuser_needed"
    assert (account(colleague), account(boss)) == before


def test_rights_that_a_customer_has_from_before_count_when_they_become_staff_again() -> None:
    former = make_staff(permissions=["payments.refund"])
    User.objects.filter(pk=former.pk).update(is_staff=False)
    weaker, client = manager(Permission.PAYMENTS_REFUND), api_client(make_staff())

    refused = api_client(weaker).patch(url(former), {"is_staff": True})

    assert (refused.status_code, refused.json()["permission"]) == (403, "payments.refund")
    assert client.patch(url(former), {"is_staff": True}).status_code == 200


@pytest.mark.parametrize("missing", [Permission.CUSTOMERS_VIEW, Permission.CUSTOMERS_EDIT])
def test_customers_are_changed_with_the_permissions_for_it(missing: Permission) -> None:
    carla = make_customer()
    before = account(carla)

    response = api_client(manager(missing)).patch(url(carla), {"full_name": "X"})

    assert (response.status_code, response.json()["permission"]) == (403, missing)
    assert account(carla) == before


def test_who_manages_staff_sees_staff_and_no_customers() -> None:
    colleague, carla = make_staff(), make_customer()
    client = api_client(make_staff(permissions=["staff.manage"]))

    assert client.get(url(colleague)).status_code == 200
    refused = client.get(url(carla))
    assert (refused.status_code, refused.json()["permission"]) == (403, "customers.view")
    browser = Client()
    browser.force_login(make_staff(permissions=["staff.manage"]))
    listed = browser.get("/admin/users/user/").content.decode()
    assert colleague.email in listed
    assert carla.email not in listed
    assert browser.get(f"/admin/users/user/{carla.pk}/change/").status_code == 302


def test_staff_change_customers_and_themselves_by_the_api() -> None:
    sam, carla = make_staff(), make_customer()
    client = api_client(sam)

    assert client.patch(url(carla), {"full_name": "C", "is_active": False}).status_code == 200
    assert client.patch("/api/v1/users/me", {"full_name": "S"}).status_code == 200
    # What stays as it is, is no change.
    assert client.patch("/api/v1/users/me", {"is_staff": True}).status_code == 200

    assert (account(carla)["full_name"], account(carla)["is_active"]) == ("C", False)
    assert (account(sam)["full_name"], account(sam)["is_staff"]) == ("S", True)


@pytest.mark.parametrize("by", [make_boss, make_staff])
def test_staff_and_who_is_staff_are_changed_by_the_api(by: Callable[[], User]) -> None:
    sam, carla = make_staff(), make_customer()
    client = api_client(by())

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
    sam, colleague, carla = make_staff(permissions=()), make_staff(), make_customer()
    editor = make_staff(permissions=["customers.view", "customers.edit"])
    for user in (sam, colleague, carla):
        api_client(user)
    events = Event.objects.count()

    for by, of in ((sam, colleague), (sam, carla), (editor, colleague)):
        with pytest.raises(PermissionDenied):
            operation(by, of)
    assert Event.objects.count() == events

    for by, of in ((editor, carla), (sam, sam), (make_boss(), colleague)):
        operation(by, of)
    assert Event.objects.count() >= events + 3


def test_nobody_grants_more_than_they_have() -> None:
    sam, carla = manager(Permission.PAYMENTS_REFUND), make_customer()
    refunds = permission_rows(["payments.refund"])
    group, accountant = Group.objects.create(name="Packers"), Group.objects.get(name="accountant")
    refused: list[dict[str, Any]] = [
        {"groups": [accountant]},
        {"permissions": refunds},
        {"groups": [group], "permissions": permission_rows(list(Permission))},
    ]

    for rights in refused:
        for user in (carla, sam):
            with pytest.raises(PermissionDenied) as refusal:
                grant_rights(actor=actor_for(sam), user_id=user.id, **rights)
            assert refusal.value.permission is Permission.PAYMENTS_REFUND
    assert not carla.groups.exists()
    assert not carla.user_permissions.exists()

    orders = permission_rows(["orders.view", "orders.edit"])
    grant_rights(actor=actor_for(sam), user_id=carla.id, groups=[group], permissions=orders)
    assert list(carla.groups.all()) == [group]
    assert set(carla.user_permissions.all()) == set(orders)


def test_only_superusers_make_superusers() -> None:
    sam, boss, carla = make_staff(), make_boss(), make_customer()

    with pytest.raises(SuperuserNeeded):
        grant_rights(actor=actor_for(sam), user_id=carla.id, is_superuser=True)
    with pytest.raises(OwnRights):
        grant_rights(actor=actor_for(boss), user_id=boss.id, is_superuser=False)
    assert not account(carla)["is_superuser"]

    grant_rights(actor=actor_for(boss), user_id=carla.id, is_superuser=True)
    assert account(carla)["is_superuser"]


def test_accounts_are_created_with_the_permissions_for_it() -> None:
    new: Any = {"password": PASSWORD, "full_name": "N", "email": "n@example.com"}
    editor = make_staff(permissions=["customers.view", "customers.edit"])

    with pytest.raises(PermissionDenied):
        create_account(actor=actor_for(make_staff(permissions=["staff.manage"])), **new)
    with pytest.raises(PermissionDenied):
        create_account(actor=actor_for(editor), is_staff=True, **new)
    assert not User.objects.filter(email="n@example.com").exists()

    create_account(actor=actor_for(editor), **new)
    create_account(actor=system("tests"), is_staff=True, **{**new, "email": "m@example.com"})


def test_staff_change_their_own_account_in_the_back_office_but_not_their_rights() -> None:
    sam = make_staff(full_name="Before", permissions=["customers.view"])
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
