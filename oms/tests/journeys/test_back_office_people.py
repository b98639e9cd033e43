"""Users, permissions and sessions in the back office."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from oms.events.models import Event
from oms.testing.factories import (
    PASSWORD,
    make_customer,
    make_staff,
    permission_rows,
    tokens_for,
)
from oms.users.models import Session, User

pytestmark = pytest.mark.django_db

LIST = "/admin/users/user/"


def browser_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def superuser() -> Client:
    """A browser logged in as a superuser."""
    return browser_of(make_staff(email="admin@example.com", is_superuser=True))


@pytest.fixture
def clerk() -> Client:
    """A browser of a staff user who may edit customers, and nothing else."""
    permissions = ["customers.view", "customers.edit"]
    return browser_of(make_staff(email="clerk@example.com", permissions=permissions))


def page_of(user: User, action: str = "change") -> str:
    return f"{LIST}{user.pk}/{action}/"


def form_of(user: User, **changes: Any) -> dict[str, Any]:
    """What the browser sends for the user's page, with `changes` made in it."""
    switches = {name: "on" for name in ("is_active", "is_staff") if getattr(user, name)}
    kept = {"email": user.email, "full_name": user.full_name, "phone": user.phone}
    return {**kept, **switches, **changes}


def text(response: Any) -> str:
    return str(response.content.decode())


def fresh(user: User) -> User:
    return User.objects.get(pk=user.pk)


def test_a_superuser_adds_a_staff_user_who_can_log_in(superuser: Client) -> None:
    new = {"email": "New@Example.com", "full_name": "New", "phone": "", "is_staff": "on"}

    superuser.post(f"{LIST}add/", {**new, "password": "a-long-enough-secret"})

    user = User.objects.get(email__iexact="new@example.com")
    assert (user.is_staff, user.is_superuser) == (True, False)
    events = Event.objects.filter(object_id=user.id).order_by("position")
    assert [event.type for event in events] == ["user.registered", "user.changed"]
    assert {event.actor_label for event in events} == {"admin@example.com"}
    assert Client().login(username="new@example.com", password="a-long-enough-secret")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"email": "TAKEN@example.com"}, "An account with this e-mail address already exists"),
        ({"password": "12345"}, "This password is too short"),
        ({"email": "no address"}, "Enter a valid email address"),
        ({"phone": "call me"}, "Enter a phone number"),
    ],
)
def test_a_bad_account_is_refused_at_its_field(
    superuser: Client, changes: dict[str, str], message: str
) -> None:
    make_customer(email="taken@example.com")
    new = {"email": "new@example.com", "full_name": "New", "phone": "", "password": PASSWORD}

    assert message in text(superuser.post(f"{LIST}add/", {**new, **changes}))

    assert User.objects.count() == 2


def test_changes_of_permissions_are_recorded(superuser: Client) -> None:
    user, group = make_customer(), Group.objects.create(name="Packers")
    [permission] = permission_rows(["orders.view"])

    superuser.post(
        page_of(user),
        form_of(user, is_staff="on", groups=[group.pk], user_permissions=[permission.pk]),
    )

    assert fresh(user).is_staff
    assert list(user.groups.all()) == [group]
    changes: dict[str, Any] = {}
    for event in Event.objects.filter(object_id=user.id, type="user.changed"):
        changes |= event.data["changes"]
    assert changes == {
        "is_staff": [False, True],
        "groups": [[], ["Packers"]],
        "user_permissions": [[], ["orders.view"]],
    }
    # Submitting the form unchanged is no change.
    superuser.post(
        page_of(user),
        form_of(fresh(user), groups=[group.pk], user_permissions=[permission.pk]),
    )
    assert Event.objects.filter(object_id=user.id, type="user.changed").count() == 2


def test_superusers_cannot_remove_their_own_permissions(superuser: Client) -> None:
    me = User.objects.get(email="admin@example.com")

    superuser.post(page_of(me), {"email": me.email, "full_name": "Admin", "phone": ""})

    assert (fresh(me).full_name, fresh(me).is_active) == ("Admin", True)
    assert fresh(me).is_superuser
    assert fresh(me).is_staff


def test_staff_change_customers_but_grant_no_permissions(clerk: Client) -> None:
    user = make_customer(full_name="Before")

    clerk.post(page_of(user), form_of(user, full_name="After", is_staff="on", is_superuser="on"))

    assert fresh(user).full_name == "After"
    assert not fresh(user).is_staff
    assert not fresh(user).is_superuser
    new = {"email": "n@example.com", "full_name": "N", "phone": "", "password": PASSWORD}
    clerk.post(f"{LIST}add/", {**new, "is_staff": "on"})
    assert not User.objects.get(email="n@example.com").is_staff


def test_staff_cannot_change_accounts_of_staff(clerk: Client) -> None:
    superuser = make_staff(email="admin@example.com", is_superuser=True)
    before = superuser.password
    new = {"password": "another-long-secret", "again": "another-long-secret"}

    assert clerk.get(page_of(superuser)).status_code == 200
    assert (
        clerk.post(page_of(superuser), form_of(superuser, email="mine@example.com")).status_code
        == 403
    )
    assert clerk.post(page_of(superuser, "set_password"), new).status_code == 403
    assert clerk.post(page_of(superuser, "end_sessions")).status_code == 403
    assert "set_password" not in text(clerk.get(page_of(superuser)))

    assert (fresh(superuser).email, fresh(superuser).password) == ("admin@example.com", before)


def test_setting_a_password_ends_the_sessions_and_is_never_recorded(superuser: Client) -> None:
    user = make_customer(email="ada@example.com")
    tokens_for(user)
    page = page_of(user, "set_password")

    differ = superuser.post(page, {"password": "another-long-secret", "again": "other"})
    assert "The passwords don&#x27;t match" in text(differ)
    weak = superuser.post(page, {"password": "12345678", "again": "12345678"})
    assert "entirely numeric" in text(weak)
    assert fresh(user).check_password(PASSWORD)
    superuser.post(page, {"password": "another-long-secret", "again": "another-long-secret"})

    assert fresh(user).check_password("another-long-secret")
    assert Session.objects.get(user=user).revoked_because == "password set"
    event = Event.objects.get(type="user.password_set")
    assert event.data == {"user_id": str(user.id)}


def test_a_session_is_ended_once(superuser: Client) -> None:
    user = make_customer()
    tokens_for(user)
    session = Session.objects.get(user=user)
    page = f"/admin/users/session/{session.pk}"

    superuser.post(f"{page}/end_session/")
    again = superuser.post(f"{page}/end_session/", follow=True)

    assert "isn&#x27;t available" in text(again)
    session.refresh_from_db()
    assert session.revoked_because == "by staff"
    assert Event.objects.filter(type="user.session_revoked").count() == 1
    assert session.refresh_jti not in text(superuser.get(f"{page}/change/"))


def test_logging_out_everywhere_ends_every_session(superuser: Client) -> None:
    user, other = make_customer(), make_customer()
    for _ in range(3):
        tokens_for(user)
    tokens_for(other)

    superuser.post(page_of(user, "end_sessions"))

    assert not Session.objects.filter(user=user, revoked_at=None).exists()
    assert Session.objects.filter(user=other, revoked_at=None).count() == 1


def test_groups_are_changed_by_those_who_manage_staff(clerk: Client) -> None:
    group = Group.objects.create(name="Packers")

    page = f"/admin/auth/group/{group.pk}/change/"
    assert clerk.get(page).status_code == 403
    assert clerk.post(page, {"name": "Managers"}).status_code == 403
    browser_of(make_staff(permissions=["staff.manage"])).post(page, {"name": "Shippers"})

    group.refresh_from_db()
    assert group.name == "Shippers"


def test_customers_have_no_access() -> None:
    client = browser_of(make_customer())

    assert client.get("/admin/").status_code == 302
    assert client.get(LIST).status_code == 302
